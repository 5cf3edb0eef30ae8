"""Finished runs that go: archived, then removed, by hand and by themselves, killed between."""
import json
import os
import shutil
import signal
import subprocess
import unittest

from databases import Postgres
from program import DOUGONG, PATIENCE_S, ProgramTest
from test_flow_runs import post

NOTE = """
name: note
steps: [{id: keep, set: {text: "{{ input.text }}"}}]
output: "{{ vars.text }}"
"""
GATE = "name: gate\nsteps: [{id: ask, human: {ask: approve, prompt: ok}}]\n"
LARGE = "x" * 200_000


class FlowRetain(ProgramTest):
    def setUp(self):
        super().setUp()
        self.archive = os.path.join(self.home, "archive")
        self.env = {"DOUGONG_FLOW_ARCHIVE": self.archive}

    def flow(self, *words, status=0):
        done = self.run_program("flow", *words, env=self.env)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def note(self, text):
        file = self.write("note.yaml", NOTE)
        return self.flow("run", file, "--input", f"@{self.write('input.json', json.dumps({'text': text}))}").split()[0]

    def test_finished_runs_go_into_the_archive(self):
        runs = [self.note(text) for text in ("one", LARGE)]
        open_run = self.flow("run", self.write("gate.yaml", GATE), "--detach").split()[0]
        exported = [json.loads(self.flow("export", run)) for run in runs]
        blobs = os.path.join(self.home, ".local/share/dougong/flow/blobs")
        self.assertTrue(os.listdir(blobs))
        seen = json.loads(self.flow("purge", "--older-than", "0s", "--dry-run", "--json"))
        self.assertEqual(seen["removed"], 2)
        self.flow("show", runs[0])
        gone = json.loads(self.flow("purge", "--older-than", "0s", "--json"))
        self.assertEqual((gone["removed"], gone["archived"]), (2, 2))
        self.assertEqual(os.listdir(blobs), [])
        self.flow("show", runs[0], status=66)
        self.flow("show", open_run)
        listed = json.loads(self.flow("archive", "list", "--json"))["data"]
        self.assertEqual([each["id"] for each in listed], runs[::-1])
        for run, before in zip(runs, exported):
            shown = self.flow("archive", "show", run)
            self.assertEqual(json.loads(shown), before)
            self.assertIn("the same", self.flow("replay", self.write("run.json", shown)))
        self.flow("archive", "show", open_run, status=66)
        self.flow("purge", "--older-than", "soon", status=64)

    def test_a_purge_that_is_killed_loses_nothing(self):
        runs = {self.note(f"text {n}") for n in range(12)}
        for _ in range(6):  # each is killed as soon as something is in the archive
            before = self.archived_bytes()
            purge = subprocess.Popen([DOUGONG, "flow", "purge", "--older-than", "0s"], cwd=self.home,
                                     env=self.environment(**self.env), stdout=subprocess.DEVNULL)
            while purge.poll() is None and self.archived_bytes() == before:
                pass
            purge.send_signal(signal.SIGKILL)
            purge.communicate(timeout=PATIENCE_S)
            listed = {each["id"] for each in json.loads(self.flow("list", "--json"))["data"]}
            archived = {each["id"] for each in json.loads(self.flow("archive", "list", "--json"))["data"]}
            self.assertEqual(listed | archived, runs)
            for run in archived - listed:
                self.assertEqual(json.loads(self.flow("archive", "show", run))["run"]["status"], "completed")
            for run in listed:
                self.flow("show", run)
        self.flow("purge", "--older-than", "0s")
        self.assertEqual(json.loads(self.flow("list", "--json"))["data"], [])

    def archived_bytes(self):
        total = 0
        for name in os.listdir(self.archive) if os.path.isdir(self.archive) else []:
            total += os.path.getsize(os.path.join(self.archive, name))
        return total

    def test_a_server_lets_them_go_by_itself(self):
        wrong = self.run_program("serve", "--model", "smoke", "--port", "0", env={"DOUGONG_FLOW_RETENTION": "soon"})
        self.assertIn("flow.retention", wrong.stdout + wrong.stderr)
        run = self.note("one")
        server = self.serve(env={**self.env, "DOUGONG_FLOW_RETENTION": "1ms"})
        while server.get(f"/v1/runs/{run}")[0] == 200:
            pass
        self.assertEqual(server.get(f"/v1/runs/{run}")[0], 404)
        self.assertEqual(json.loads(server.get(f"/v1/flow/archive/{run}")[1])["run"]["id"], run)
        self.assertIn("dougong_flow_runs_removed_total 1", server.get("/metrics")[1])

    def test_an_archive_that_cannot_be_written_keeps_the_runs(self):
        run = self.note("one")
        shutil.rmtree(self.archive)
        self.write("archive", "a file where the folder was to be")
        refused = self.run_program("flow", "purge", "--older-than", "0s", env=self.env)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("archive", refused.stderr)
        self.run_program("flow", "show", run)
        os.remove(self.archive)
        self.flow("purge", "--older-than", "0s")
        self.flow("archive", "show", run)

    def test_rows_of_a_shared_database_go_with_their_run(self):
        postgres = Postgres()
        self.addCleanup(postgres.stop)
        server = self.serve(env={**self.env, "DOUGONG_FLOW_STORE": "postgresql",
                                 "DOUGONG_FLOW_POSTGRESQL": postgres.url("retain")})
        self.assertEqual(post(server, "/v1/workflows", NOTE, "application/yaml")[0], 201)
        self.assertEqual(post(server, "/v1/workflows", GATE, "application/yaml")[0], 201)
        status, run = post(server, "/v1/workflows/note/runs", json.dumps({"input": {"text": LARGE}}))
        self.assertIn(status, (200, 201), run)
        other = post(server, "/v1/workflows/gate/runs", "{}")[1]["id"]
        rows = lambda table: int(postgres.rows(f"SELECT count(*) FROM retain.{table}")[0])
        while json.loads(server.get(f"/v1/runs/{run['id']}")[1])["status"] != "completed":
            pass
        before = json.loads(server.get(f"/v1/runs/{run['id']}/export")[1])
        self.assertGreater(rows("flow_blobs"), 0)
        removed = 0
        while removed == 0:  # over for no time at all: what ended before this millisecond
            removed = post(server, "/v1/flow/purge", '{"older_than": "0s"}')[1]["removed"]
        self.assertEqual(rows("flow_runs"), 1)
        self.assertEqual(rows("flow_blobs"), 0)
        self.assertEqual(rows("flow_records WHERE run NOT IN (SELECT id FROM retain.flow_runs)"), 0)
        self.assertEqual(json.loads(server.get(f"/v1/flow/archive/{run['id']}")[1])["events"], before["events"])
        self.assertEqual(json.loads(server.get(f"/v1/runs/{other}")[1])["status"], "running")


if __name__ == "__main__":
    unittest.main()
