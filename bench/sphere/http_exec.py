"""`true` in a warm box over HTTP, as a client of a server sees it.

python3 bench/sphere/http_exec.py [PROGRAM] [CALLS]     build/release/dougong and 300 unless given
One connection that stays; the guard and its record are on, as they always are in a server.
"""
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse

PROGRAM = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/release/dougong")
CALLS = int(sys.argv[2]) if len(sys.argv) > 2 else 300
WARM_UP = 10

with tempfile.TemporaryDirectory(prefix="dougong-bench-") as home:
    environment = {"PATH": os.environ["PATH"], "HOME": home, "NO_COLOR": "1"}
    server = subprocess.Popen([PROGRAM, "serve", "--model", "smoke", "--port", "0"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              env=environment, cwd=home)
    try:
        url = server.stdout.readline().split()[1]
        connection = http.client.HTTPConnection("127.0.0.1", urllib.parse.urlsplit(url).port)

        def ask(method, path, body):
            connection.request(method, path, json.dumps(body))
            response = connection.getresponse()
            return response.status, json.loads(response.read())

        status, box = ask("POST", "/v1/sandboxes", {})
        assert status == 201, box
        ms = []
        for _ in range(WARM_UP + CALLS):
            begin = time.perf_counter()
            status, told = ask("POST", f"/v1/sandboxes/{box['id']}/exec", {"argv": ["/bin/true"]})
            ms.append(1000 * (time.perf_counter() - begin))
            assert status == 200 and told["exit_code"] == 0, told
        ms = sorted(ms[WARM_UP:])
        print(json.dumps({"what": "true in a warm box over HTTP", "n": CALLS,
                          "min_ms": round(ms[0], 3), "median_ms": round(ms[CALLS // 2], 3),
                          "p99_ms": round(ms[CALLS * 99 // 100], 3)}))
    finally:
        server.terminate()
        server.wait()
