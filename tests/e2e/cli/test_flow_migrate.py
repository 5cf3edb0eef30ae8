"""Running runs go on as another version of their workflow says: told before, by rule, killed between."""
import json
import unittest

from program import ProgramTest
from test_flow_runs import post

OLD = """
name: letters
steps:
  - {id: draft, set: {text: "{{ input.text }}"}}
  - {id: gate, human: {ask: approve, prompt: "Good?"}}
  - {id: send, set: {sent: "{{ vars.text }}"}}
output: "{{ vars.sent }}"
"""
NEW = """
name: letters
steps:
  - {id: draft, set: {text: "{{ input.text }}"}}
  - {id: review, human: {ask: approve, prompt: "Good?"}}
  - {id: send, set: {sent: "{{ vars.text + '!' }}"}}
output: "{{ vars.sent }}"
"""


class FlowMigrate(ProgramTest):
    def told(self, *words, status=0):
        done = self.run_program("flow", *words, "--json")
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def test_open_runs_are_told_of_and_move_by_rule(self):
        old = self.write("letters.yaml", OLD)
        runs = [self.run_program("flow", "run", old, "--detach", "--input", json.dumps({"text": text})).stdout.split()[0]
                for text in ("a", "b", "c")]
        new = self.write("new.yaml", NEW)
        seen = self.run_program("flow", "deploy", new, "--dry-run")
        self.assertEqual(seen.returncode, 0, seen.stderr)
        self.assertIn("3", seen.stdout)
        self.assertIn("'gate'", seen.stdout)
        self.run_program("flow", "deploy", new)
        seen = self.told("migrate", "--workflow", "letters", "--dry-run", status=1)
        self.assertEqual((seen["can"], seen["cannot"], seen["to"]), (0, 3, 2))
        for each in seen["data"]:
            self.assertEqual(each["findings"][0]["weight"], "blocks")
            self.assertIn("'gate' is waiting and gone", each["findings"][0]["message"])
        rule = ["--rename", "gate=review"]
        one = self.told("migrate", runs[0], *rule)
        self.assertEqual((one["from"], one["to"], one["moved"]), (1, 2, True))
        self.assertEqual(self.told("show", runs[0])["version"], 2)
        self.assertEqual(self.told("show", runs[1])["version"], 1)
        rest = self.told("migrate", "--workflow", "letters", *rule)
        self.assertEqual((rest["can"], rest["cannot"]), (2, 0))
        for run, text in zip(runs, "abc"):
            self.run_program("flow", "answer", run, "review", "--approve")
            end = self.run_program("flow", "watch", run)
            self.assertEqual(json.loads(end.stdout.splitlines()[-1]), text + "!")
            self.assertIn("the same", self.run_program("flow", "replay", run).stdout)
        wrong = self.run_program("flow", "migrate", runs[0], "--rename", "nope=review")
        self.assertNotEqual(wrong.returncode, 0)
        before = self.told("fork", runs[0], "--step", "gate")
        self.assertEqual(self.told("show", before["id"])["version"], 1, "it began before the move")

    def test_a_move_is_whole_over_http_whenever_the_server_is_killed(self):
        server = self.serve()
        self.assertEqual(post(server, "/v1/workflows", OLD, "application/yaml")[0], 201)
        runs = [post(server, "/v1/workflows/letters/runs", json.dumps({"input": {"text": text}}))[1]["id"]
                for text in ("a", "b", "c", "d")]
        self.assertEqual(post(server, "/v1/workflows", NEW, "application/yaml")[1]["open_runs"], 4)
        body = json.dumps({"rules": {"renamed": {"gate": "review"}}})
        self.assertEqual(post(server, f"/v1/runs/{runs[0]}/migrate", "{}")[0], 400)
        self.assertEqual(post(server, f"/v1/runs/{runs[0]}/migrate", body)[1]["to"], 2)
        server.kill()
        server = self.serve()
        self.assertEqual(json.loads(server.get(f"/v1/runs/{runs[0]}")[1])["version"], 2)
        connection = server.connect()  # killed while it moves the others
        connection.request("POST", "/v1/workflows/letters/migrate", body)
        server.kill()
        connection.close()
        server = self.serve()
        status, answer = post(server, "/v1/workflows/letters/migrate", body)
        self.assertEqual((status, answer["cannot"]), (200, 0))
        for run, text in zip(runs, "abcd"):
            self.assertEqual(post(server, f"/v1/runs/{run}/answer", '{"step": "review", "decision": "approved"}')[0], 200)
            shown = json.loads(server.get(f"/v1/runs/{run}")[1])
            self.assertEqual((shown["version"], shown["status"], shown["output"]), (2, "completed", text + "!"))
            events = json.loads(server.get(f"/v1/runs/{run}/events?limit=1000")[1])["data"]
            self.assertEqual(len([1 for each in events if each["event"] == "run_migrated"]), 1, "it moved once")


if __name__ == "__main__":
    unittest.main()
