"""What is seen of runs while they happen: metrics, traces at a collector, tokens of models."""
import http.client
import http.server
import json
import signal
import threading
import unittest

from program import PATIENCE_S, ProgramTest

TALK = """
name: talk
steps:
  - id: say
    llm: {prompt: "Once upon a time", max_tokens: %d, temperature: 0}
  - {id: ask, http: {url: "URL/next"}}
"""


class Receiver:
    """A collector of spans, and a server that remembers the traceparent it was called with."""

    def __init__(self, test):
        self.spans, self.called = [], []
        self.changed = threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                body = b"{}"
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.changed:
                    for resource in sent["resourceSpans"]:
                        for scope in resource["scopeSpans"]:
                            outer.spans.extend(scope["spans"])
                    outer.changed.notify_all()
                self.answer()

            def do_GET(self):
                with outer.changed:
                    outer.called.append(self.headers["traceparent"])
                    outer.changed.notify_all()
                self.answer()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        test.addCleanup(self.server.shutdown)


def post(server, path, body, **headers):
    connection = server.connect()
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return answer


def events_of(response):
    """(id, event, data) of a stream as they come; ends with the stream, also when it is cut."""
    kept = {}
    try:
        for line in response:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                kept[name] = value
            elif kept:
                yield kept.get("id"), kept["event"], json.loads(kept["data"])
                kept = {}
    except (OSError, http.client.HTTPException):
        pass


def stream(server, path, last=""):
    connection = server.connect()
    connection.request("GET", path, headers={"Last-Event-ID": last} if last else {})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    return response


class FlowObserve(ProgramTest):
    def test_a_run_is_a_trace_at_the_collector_and_in_figures(self):
        receiver = Receiver(self)
        server = self.serve(env={"DOUGONG_TRACE_OTLP_ENDPOINT": receiver.url + "/v1/traces"})
        post(server, "/v1/workflows", TALK.replace("URL", receiver.url) % 12)
        trace_id = "0af7651916cd43dd8448eb211c80319c"
        run = post(server, "/v1/workflows/talk/runs", '{"wait_ms": 60000}',
                   traceparent=f"00-{trace_id}-b7ad6b7169203331-01")
        self.assertEqual(run["status"], "completed", run)
        shown = json.loads(server.get(f"/v1/runs/{run['id']}/trace")[1])
        self.assertEqual(shown["trace_id"], trace_id)
        spans = {span["span_id"]: span for span in shown["spans"]}
        root = next(span for span in shown["spans"] if span["what"] == "run")
        self.assertEqual(root["parent_id"], "b7ad6b7169203331")
        attempt = next(s for s in shown["spans"] if s["what"] == "attempt" and s["kind"] == "llm")
        view = json.loads(server.get(f"/v1/runs/{run['id']}")[1])
        said = view["root"]["steps"][0]["output"]
        self.assertEqual(attempt["attributes"]["gen_ai.usage.output_tokens"],
                         said["usage"]["completion_tokens"])
        self.assertEqual(attempt["attributes"]["gen_ai.response.model"], said["model"])
        asked = next(s for s in shown["spans"] if s["what"] == "attempt" and s["kind"] == "http")
        self.assertEqual(receiver.called, [f"00-{trace_id}-{asked['span_id']}-01"])
        self.assertEqual(view["totals"]["kinds"]["llm"]["tokens"], view["usage"]["tokens"])
        metrics = server.get("/metrics")[1]
        self.assertIn('dougong_flow_runs_total{workflow="talk",what="completed"} 1', metrics)
        self.assertIn('dougong_flow_step_seconds_count{kind="llm",outcome="done"} 1', metrics)
        with receiver.changed:
            whole = receiver.changed.wait_for(
                lambda: set(spans) <= {s["spanId"] for s in receiver.spans}, PATIENCE_S)
        self.assertTrue(whole, receiver.spans)
        ours = [s for s in receiver.spans if s["spanId"] in spans]
        self.assertEqual(len(ours), len(spans), "each once")
        # The model's own span of this server is beneath the attempt that asked it.
        self.assertTrue(any(s.get("parentSpanId") == attempt["span_id"] for s in receiver.spans))
        drawn = self.run_program("flow", "trace", run["id"], "--url", server.url)
        self.assertEqual(drawn.returncode, 0, drawn.stderr)
        self.assertIn("step say", drawn.stdout)
        otlp = json.loads(server.get(f"/v1/runs/{run['id']}/trace?format=otlp")[1])
        self.assertEqual(len(otlp["resourceSpans"][0]["scopeSpans"][0]["spans"]), len(spans))

    def test_tokens_stream_out_of_a_step_and_go_on_after_a_reconnect_and_a_kill(self):
        receiver = Receiver(self)
        server = self.serve()
        post(server, "/v1/workflows", TALK.replace("URL", receiver.url) % 400)
        for _ in range(12):  # so that the model is busy for a while
            post(server, "/v1/workflows/talk/runs", "{}")
        run = post(server, "/v1/workflows/talk/runs", "{}")["id"]
        path = f"/v1/runs/{run}/steps/say/stream"
        seen, last, call = "", "", None
        first = stream(server, path)
        for place, event, data in events_of(first):
            last = place or last
            call = data.get("call", call)
            if event == "token":
                seen += data["text"]
                if len(seen) > 5:
                    break
        first.close()
        again = events_of(stream(server, path, last))
        place, event, data = next(again)
        if event == "token":  # unless it was over meanwhile
            self.assertEqual(data["call"], call)
            self.assertEqual(data["index"], int(last.split("-")[1]), "not a token twice, none lost")
        server.process.send_signal(signal.SIGKILL)
        server.wait()
        list(again)
        server = self.serve()
        text, calls, done = "", [], None
        for place, event, data in events_of(stream(server, path, last)):
            if event == "attempt":
                calls.append(data["call"])
                text = ""
            elif event == "token":
                text += data["text"]
            else:
                done = data
        self.assertEqual(done["status"], "done")
        if calls:  # the call was out when the process died: it is made again, and said so
            self.assertNotIn(call, calls)
            self.assertEqual(text, done["output"]["text"])
        self.assertTrue(done["output"]["text"].startswith(seen), "the same words at temperature 0")

    def test_the_command_line_reads_along(self):
        receiver = Receiver(self)
        server = self.serve()
        file = self.write("talk.yaml", TALK.replace("URL", receiver.url) % 30)
        done = self.run_program("flow", "run", file, "--url", server.url)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("say> ", done.stdout)
        run = done.stdout.split()[0]
        text = json.loads(server.get(f"/v1/runs/{run}")[1])["root"]["steps"][0]["output"]["text"]
        self.assertIn(text, done.stdout)


if __name__ == "__main__":
    unittest.main()
