import json
import os
import signal
import unittest

from program import ProgramTest


class Sandbox(ProgramTest):
    def setUp(self):
        super().setUp()
        doctor = self.run_program("sandbox", "doctor", "--json")
        self.report = json.loads(doctor.stdout)
        if doctor.returncode != 0:
            missing = [fact for fact in self.report["facts"] if fact["finding"] == "missing"]
            self.skipTest(f"NO SANDBOX CAN BE MADE ON THIS HOST: {missing}")

    def sandbox(self, *arguments, stdin=""):
        return self.run_program("sandbox", "run", *arguments, stdin=stdin)

    def test_runs_python_and_passes_its_output_and_status_on(self):
        done = self.sandbox("--", "python3", "-c", "print(1)")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "1\n", ""))
        done = self.sandbox("--", "sh", "-c", "echo out; echo err >&2; exit 7")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (7, "out\n", "err\n"))

    def test_standard_input_is_the_commands(self):
        done = self.sandbox("--", "wc", "-c", stdin="x" * 300_000)
        self.assertEqual((done.returncode, done.stdout.strip()), (0, "300000"))

    def test_the_hosts_files_are_not_there(self):
        self.write("secret", "s")
        done = self.sandbox("--", "cat", os.path.join(self.home, "secret"))
        self.assertNotEqual(done.returncode, 0)
        done = self.sandbox("--", "sh", "-c", "ls /workspace | wc -l; cat /etc/shadow")
        self.assertEqual(done.stdout, "0\n")

    def test_the_environment_is_not_passed_on(self):
        done = self.run_program("sandbox", "run", "--env", "GIVEN=yes", "--", "env",
                                env={"DG_SECRET_BAIT": "x"})
        self.assertIn("GIVEN=yes", done.stdout)
        self.assertNotIn("DG_SECRET_BAIT", done.stdout)

    def test_time_and_output_are_limited_and_told(self):
        done = self.sandbox("--timeout-s", "0.5", "--", "sleep", "100")
        self.assertEqual(done.returncode, 124)
        self.assertIn("wall_time", done.stderr)
        done = self.sandbox("--output-mib", "0.001", "--", "sh", "-c", "yes | head -c 100000")
        self.assertEqual(len(done.stdout), 1048)
        self.assertIn("left out", done.stderr)

    def test_what_cannot_be_done_says_why(self):
        done = self.sandbox("--", "no-such-program")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no-such-program", done.stderr)
        done = self.sandbox("--network", "egress", "--", "true")
        self.assertIn("--allow-domain", done.stderr)
        self.assertEqual(done.returncode, 64)
        done = self.sandbox("--network", "egress", "--allow-domain", "api.example.org", "--",
                            "python3", "-c",
                            "import urllib.request as r; r.urlopen('http://other.example.org/')")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("403", done.stderr)
        self.assertEqual(self.sandbox("--network", "x", "--", "true").returncode, 64)
        self.assertEqual(self.sandbox("--memory-mib", "1", "--", "true").returncode, 64)
        self.assertEqual(self.sandbox().returncode, 64)

    def test_json_has_output_reason_and_usage(self):
        done = self.sandbox("--json", "--", "sh", "-c", "echo o; echo e >&2; exit 3")
        told = json.loads(done.stdout)
        self.assertEqual(done.returncode, 3)
        self.assertEqual((told["stdout"], told["stderr"], told["exit_code"], told["reason"]),
                         ("o\n", "e\n", 3, "exited"))
        self.assertTrue(any(line.startswith("memory: ") for line in told["enforced_by"]))

    def test_doctor_says_each_primitive_for_people_too(self):
        text = self.run_program("sandbox", "doctor").stdout
        for fact in self.report["facts"]:
            self.assertIn(fact["primitive"], text)

    def ask(self, server, method, path, body=""):
        connection = server.connect()
        connection.request(method, path, body)
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer

    def test_a_server_offers_boxes_and_its_signal_stops_them_all(self):
        server = self.serve("--sandbox.state_dir", os.path.join(self.home, "boxes"))
        status, box = self.ask(server, "POST", "/v1/sandboxes")
        self.assertEqual(status, 201, box)
        command = json.dumps({"code": "print(6 * 7)"})
        status, told = self.ask(server, "POST", f"/v1/sandboxes/{box['id']}/exec", command)
        self.assertEqual((status, told["stdout"]), (200, "42\n"), told)
        server.process.send_signal(signal.SIGUSR1)
        for _ in range(10_000):
            status, refused = self.ask(server, "POST", "/v1/sandboxes")
            if status != 201:
                break
        self.assertEqual(status, 403, refused)
        for _ in range(10_000):  # refused at once; what was there ends a moment later
            boxes = self.ask(server, "GET", "/v1/sandboxes")[1]["data"]
            if not boxes:
                break
        self.assertEqual(boxes, [])
        self.assertEqual(self.ask(server, "DELETE", "/admin/v1/emergency_stop")[0], 200)
        self.assertEqual(self.ask(server, "POST", "/v1/sandboxes")[0], 201)

    def test_a_server_without_boxes_says_why(self):
        server = self.serve("--sandbox.enabled", "off")
        status, refused = self.ask(server, "POST", "/v1/sandboxes")
        self.assertEqual(status, 503)
        self.assertIn("sandbox.enabled", refused["error"]["message"])


if __name__ == "__main__":
    unittest.main()
