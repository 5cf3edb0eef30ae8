"""Sandboxes obey policies and leave a record: from the command line and over a server."""
import json
import os
import unittest

from program import ProgramTest

POLICY = """version: 1
name: house
limits: {memory_bytes: 67108864}
secrets: [{name: key, environment: API_KEY}]
tools: [{id: read, effect: allow, tools: [fs.read]}]
"""


class Guard(ProgramTest):
    def setUp(self):
        super().setUp()
        if self.run_program("sandbox", "doctor").returncode != 0:
            self.skipTest("NO SANDBOX CAN BE MADE ON THIS HOST")
        self.policy = self.write("policy.yaml", POLICY)
        self.secrets = self.write("secrets.yaml", "key: open-sesame\n")
        os.chmod(self.secrets, 0o600)
        self.record = os.path.join(self.home, "record")
        self.flags = ["--sandbox.policies", self.policy, "--sandbox.secrets_file", self.secrets,
                      "--sandbox.audit_dir", self.record,
                      "--sandbox.state_dir", os.path.join(self.home, "boxes")]

    def sandbox(self, *arguments, flags=()):
        return self.run_program("sandbox", "run", *flags, *arguments)

    def events(self, folder, kind=""):
        chosen = ["--event", kind] if kind else []
        shown = self.run_program("audit", "show", folder, "--json", *chosen)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        return [json.loads(line) for line in shown.stdout.splitlines()]

    def ask(self, server, method, path, body=None, tenant="default"):
        connection = server.connect()
        connection.request(method, path, None if body is None else json.dumps(body),
                           {"X-Dougong-Tenant": tenant})
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer

    def test_a_command_leaves_a_record_that_verifies(self):
        for _ in range(2):
            self.assertEqual(self.sandbox("--", "sh", "-c", "echo x > made; exit 7").returncode, 7)
        folder = os.path.join(self.home, ".local/state/dougong/audit/command-0")
        self.assertEqual(self.run_program("audit", "verify", folder).returncode, 0)
        self.assertEqual([event["event"] for event in self.events(folder)],
                         ["policy.load", "sandbox.create", "exec.start", "exec.end",
                          "sandbox.destroy"] * 2)
        end = self.events(folder, "exec.end")[0]
        self.assertEqual((end["exit"]["code"], end["files_changed"]), (7, ["made"]))

    def test_what_the_policy_forbids_is_named_and_recorded(self):
        done = self.sandbox("--memory-mib", "512", "--", "true", flags=self.flags)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("limits.memory_bytes", done.stderr)
        self.assertIn("house", done.stderr)
        self.assertEqual(self.sandbox("--memory-mib", "64", "--", "true",
                                      flags=self.flags).returncode, 0)
        made = self.events(os.path.join(self.record, "command-0"), "sandbox.create")
        self.assertEqual([event["decision"] for event in made], ["deny", "allow"])

    def test_a_file_of_secrets_that_others_can_read_is_refused(self):
        os.chmod(self.secrets, 0o644)
        done = self.sandbox("--memory-mib", "64", "--", "true", flags=self.flags)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("chmod 600", done.stderr)
        self.assertNotIn("sesame", done.stderr)

    def test_a_server_decides_records_and_remembers_its_stops(self):
        server = self.serve(*self.flags)
        small = {"limits": {"memory_bytes": 67108864}, "secrets": ["key"]}
        status, refused = self.ask(server, "POST", "/v1/sandboxes", {})
        self.assertEqual((status, refused["error"]["param"]), (403, "limits.memory_bytes"))
        status, box = self.ask(server, "POST", "/v1/sandboxes", small)
        self.assertEqual(status, 201, box)
        self.assertNotIn("sesame", json.dumps(box))
        status, told = self.ask(server, "POST", f"/v1/sandboxes/{box['id']}/exec",
                                {"argv": ["sh", "-c", "echo $API_KEY"]})
        self.assertEqual(told["stdout"], "open-sesame\n")
        shown = self.ask(server, "GET", f"/v1/audit?sandbox={box['id']}")[1]["data"]
        self.assertEqual([event["event"] for event in shown],
                         ["exec.end", "exec.start", "sandbox.create"])
        self.assertEqual(self.ask(server, "GET", "/v1/audit", tenant="other")[1]["data"], [])
        policies = self.ask(server, "GET", "/v1/policies")[1]
        self.assertEqual([policy["name"] for policy in policies["data"]], ["house"])

        # A policy that was changed under the server forbids until it is loaded.
        self.write("policy.yaml", POLICY + "revision: two\n")
        self.assertEqual(self.ask(server, "POST", "/v1/sandboxes", small)[0], 400)
        status, decision = self.ask(server, "POST", "/v1/policies/decide", {"tool": "fs.read"})
        self.assertEqual((status, decision["cause"]), (200, "stale_policy"))
        self.assertEqual(self.ask(server, "POST", "/admin/v1/policies/reload")[0], 200)
        self.assertEqual(self.ask(server, "POST", "/v1/sandboxes", small)[0], 201)
        decision = self.ask(server, "POST", "/v1/policies/decide",
                            {"tool": "FS.read", "dry_run": False})[1]
        self.assertEqual(decision["cause"], "tool_rejected")

        metrics = server.get("/metrics")[1]
        self.assertIn("dougong_sphere_created_total 2\n", metrics)
        self.assertIn('dougong_sphere_execs_total{reason="exited"} 1\n', metrics)
        paths = json.loads(server.get("/openapi.json")[1])["paths"]
        self.assertIn("post", paths["/v1/sandboxes/{id}/exec"])
        self.assertIn("post", paths["/v1/chat/completions"])

        self.assertEqual(self.ask(server, "POST", "/v1/emergency_stop")[1]["stopped"], 2)
        server.terminate()
        self.assertEqual(server.wait(), 0)
        server = self.serve(*self.flags)
        self.assertEqual(self.ask(server, "POST", "/v1/sandboxes", small)[0], 403)
        self.assertEqual(len(self.ask(server, "GET", "/v1/emergency_stop")[1]["data"]), 1)
        self.assertEqual(self.ask(server, "DELETE", "/v1/emergency_stop")[0], 200)
        self.assertEqual(self.ask(server, "POST", "/v1/sandboxes", small)[0], 201)
        server.terminate()
        server.wait()
        self.assertEqual(self.run_program("audit", "verify", self.record).returncode, 0)
        self.assertEqual(len(self.events(self.record, "tool_rejected")), 1)
        for root, _, names in os.walk(self.record):
            for name in names:
                with open(os.path.join(root, name), "rb") as file:
                    self.assertNotIn(b"open-sesame", file.read())

    def test_an_altered_record_is_not_appended_to(self):
        server = self.serve(*self.flags)
        server.terminate()
        server.wait()
        segment = os.path.join(self.record, "audit-00000000000000000001.jsonl")
        with open(segment, encoding="utf-8") as file:
            text = file.read()
        self.write("record/audit-00000000000000000001.jsonl", text.replace("policy.load", "policy.lost"))
        server = self.serve(*self.flags)
        status, refused = self.ask(server, "POST", "/v1/sandboxes",
                                   {"limits": {"memory_bytes": 67108864}})
        self.assertGreaterEqual(status, 500, refused)
        self.assertIn(self.record, refused["error"]["message"])


if __name__ == "__main__":
    unittest.main()
