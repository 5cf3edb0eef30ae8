"""`dougong memory`, on the folder of this machine and on a server, and /v1/memories with kill -9."""
import json
import os
import signal
import socket
import unittest

from program import ProgramTest


class MemoryTest(ProgramTest):
    def memory(self, *arguments, **more):
        return self.run_program("memory", *arguments, **more)

    def good(self, *arguments, **more):
        done = self.memory(*arguments, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def add(self, text, *flags):
        return self.good("add", text, *flags).strip()

    def found(self, query, *flags):
        return [hit["memory"]["content"]
                for hit in json.loads(self.good("search", query, "--json", *flags))["data"]]


class FolderTest(MemoryTest):
    def test_what_was_added_is_found_by_another_process(self):
        ann = self.add("Ann is allergic to walnuts", "--user", "ann")
        self.add("Bob sails on weekends", "--user", "bob", "--meta", "topic=sport", "--meta", "n=3")
        self.assertTrue(ann.startswith("mem-"))
        self.assertEqual(self.found("walnut allergy")[0], "Ann is allergic to walnuts")
        self.assertNotIn("Bob sails on weekends", self.found("sails weekends", "--user", "ann"))
        self.assertEqual(self.found("weekend", "--where", 'topic = "sport" and n >= 3'),
                         ["Bob sails on weekends"])
        shown = self.good("show", ann)
        self.assertIn("Ann is allergic to walnuts", shown)
        self.assertIn("ann", shown)

    def test_text_comes_from_standard_input(self):
        done = self.memory("add", stdin="a note\nof two lines\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.found("note"), ["a note\nof two lines"])
        empty = self.memory("add", stdin="")
        self.assertEqual(empty.returncode, 64)
        self.assertIn("nothing to remember", empty.stderr)

    def test_explain_shows_the_parts(self):
        self.add("The deploy key is in the vault")
        text = self.good("explain", "where is the deploy key")
        self.assertIn("keyword", text)
        self.assertIn("confidence", text)

    def test_facts_come_out_of_what_is_remembered(self):
        one = self.add("I moved to Rome in May 2023.", "--user", "Ann")
        self.add("I live in Rome.", "--user", "Bob")
        self.assertIn("Ann lives_in Rome", self.good("facts", "Ann"))
        self.assertIn("no such facts", self.good("facts", "Ann", "--as-of", "2020-01-01"))
        self.assertEqual(self.good("graph", "Ann", "--to", "Bob").strip(),
                         "Ann lives_in Rome; Bob lives_in Rome")
        self.assertIn('"Ann" -> "Rome" [label="lives_in"]', self.good("graph", "Ann", "--dot"))
        self.good("rm", one)
        self.good("doctor")  # reads what is left to read
        self.assertIn("no such facts", self.good("facts", "Ann"))

    def test_a_session_reads_as_a_chain(self):
        for text in ("first things", "second things"):
            self.add(text, "--session", "s1", "--speaker", "Ann", "--type", "episodic")
        self.add("elsewhere", "--session", "s2")
        lines = self.good("chain", "s1").splitlines()
        self.assertEqual([line.split("  ", 1)[1] for line in lines],
                         ["Ann: first things", "Ann: second things"])

    def test_a_doctor_tells_what_is_damaged(self):
        self.add("something to keep")
        self.assertIn("sound", self.good("doctor"))

    def test_a_removed_one_is_gone_and_comes_back(self):
        one = self.add("The meeting is on Monday")
        self.assertEqual(self.good("rm", one).strip(), one)
        self.assertEqual(self.found("meeting"), [])
        self.assertEqual(self.memory("show", one).returncode, 66)
        self.good("restore", one, "--to", "1")
        self.assertEqual(self.found("meeting"), ["The meeting is on Monday"])
        changes = [v["change"] for v in json.loads(self.good("history", one, "--json"))["data"]]
        self.assertEqual(changes, ["restored", "removed", "added"])

    def test_export_and_import_are_the_same_memories(self):
        for n in range(7):
            self.add(f"fact number {n}", "--at", f"2026-01-0{n + 1}", "--meta", f"n={n}")
        path = os.path.join(self.home, "all.jsonl")
        self.good("export", path)
        self.assertEqual(self.good("import", path, "--tenant", "other").strip(),
                         "7 added, 0 were there already")
        self.assertEqual(self.good("import", path, "--tenant", "other").strip(),
                         "0 added, 7 were there already")
        mine = json.loads(self.good("ls", "--json"))["data"]
        other = json.loads(self.good("ls", "--json", "--tenant", "other"))["data"]
        for field in ("content", "created_unix_ms", "metadata", "type", "importance"):
            self.assertEqual([e[field] for e in mine], [e[field] for e in other])
        self.write("bad.jsonl", '{"content": "good"}\n{"content"\n')
        bad = self.memory("import", "bad.jsonl")
        self.assertEqual(bad.returncode, 64)
        self.assertIn("bad.jsonl:2", bad.stderr)

    def test_bad_input_is_named(self):
        for arguments, words in [(["add", "x", "--importance", "2"], "--importance"),
                                 (["add", "x", "--type", "odd"], "type"),
                                 (["add", "x", "--meta", "novalue"], "NAME=VALUE"),
                                 (["add", "x", "--at", "yesterday"], "2026-11-30"),
                                 (["search", "x", "--where", "a ="], "metadata"),
                                 (["search", ""], "nothing to search"),
                                 (["restore", "mem-x"], "version")]:
            done = self.memory(*arguments)
            self.assertEqual(done.returncode, 64, (arguments, done.stderr))
            self.assertIn(words, done.stderr, arguments)
        unknown = self.memory("show", "mem-nothing")
        self.assertEqual(unknown.returncode, 66, unknown.stderr)

    def canaries(self, text):
        """Files under the home that have the text's bytes."""
        found = []
        for folder, _, names in os.walk(self.home):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    if text.encode() in file.read():
                        found.append(name)
        return found

    def test_a_subject_is_forgotten_with_a_receipt(self):
        self.add("Ann Smith keeps canary-4711 in the cellar", "--user", "u1")
        self.add("Bob keeps bees", "--user", "u2")
        self.assertNotEqual(self.canaries("canary-4711"), [])
        look = json.loads(self.good("forget", "--subject", "ann smith", "--dry-run", "--json"))
        self.assertEqual([m["why"] for m in look["memories"]], ["mentions"])
        refused = self.memory("forget", "--subject", "ann smith")
        self.assertEqual(refused.returncode, 64)
        self.assertIn("--yes", refused.stderr)
        receipt = json.loads(self.good("forget", "--subject", "ann smith", "--yes", "--json"))
        self.assertEqual(receipt["status"], "done")
        self.assertEqual(receipt["ids_sha256"], look["ids_sha256"])
        self.assertTrue(receipt["scan"]["clean"])
        self.assertEqual(self.canaries("canary-4711"), [])
        self.assertEqual(self.canaries("Ann Smith"), [])
        self.assertEqual(self.found("what does Ann keep"), ["Bob keeps bees"])
        self.assertIn(receipt["id"], self.good("receipts"))
        self.assertIn("0 found", self.good("receipts", receipt["id"]))
        nothing = self.memory("forget", "--yes")
        self.assertEqual(nothing.returncode, 64)

    def test_sealed_memories_lie_nowhere_in_plain_and_a_user_goes_with_the_key(self):
        self.add("Eve keeps canary-0815 in a drawer", "--user", "eve")
        self.assertNotEqual(self.canaries("canary-0815"), [])
        sealed = {"DOUGONG_MEMORY_ENCRYPTION": "subject"}
        self.good("add", "Eve keeps canary-4712 in the cellar", "--user", "eve", env=sealed)
        self.good("add", "Bob keeps bees", "--user", "bob", env=sealed)
        self.assertEqual(self.canaries("canary-4712"), [])
        search = json.loads(self.good("search", "cellar", "--json", env=sealed))["data"]
        self.assertEqual(search[0]["memory"]["content"], "Eve keeps canary-4712 in the cellar")
        self.assertIn("2 keys", self.good("stats", env=sealed))
        receipt = json.loads(self.good("forget", "--user", "eve", "--yes", "--json", env=sealed))
        self.assertEqual(receipt["counts"]["memories"], 2)
        self.assertTrue(receipt["scan"]["clean"])
        self.assertEqual(self.canaries("canary-"), [])
        self.assertEqual(json.loads(self.good("stats", "--json", env=sealed))["entries"], 1)

    def test_compression_is_shown_done_and_taken_back(self):
        for day in range(1, 7):
            self.add("The nightly report came late again", "--session", "s", "--type", "episodic",
                     "--at", f"2026-01-0{day}")
        self.assertIn("6 become", self.good("compress", "--session", "s", "--dry-run"))
        done = json.loads(self.good("compress", "--session", "s", "--json"))
        self.assertEqual(done["entries_after"], 1)
        self.assertEqual(len(self.found("nightly report")), 1)
        self.assertIn("taken back", self.good("compress", "--undo", done["id"]))
        self.assertEqual(len(json.loads(self.good("ls", "--json"))["data"]), 6)
        self.assertIn(done["id"], self.good("compress", "--list"))

    def test_profile_blocks_are_kept(self):
        self.good("profile", "set", "human", "Ann. Likes tea.", "--user", "ann", "--limit", "40")
        self.good("profile", "append", "human", "Has a dog.", "--user", "ann")
        self.assertEqual(self.good("profile", "show", "human", "--user", "ann"),
                         "Ann. Likes tea.\nHas a dog.\n")
        self.assertIn("<human chars=", self.good("profile", "ls", "--user", "ann"))
        over = self.memory("profile", "append", "human", "x" * 50, "--user", "ann")
        self.assertIn("limit of 40", over.stderr)
        self.good("profile", "set", "human", "--to-version", "1", "--user", "ann")
        self.assertEqual(self.good("profile", "show", "human", "--user", "ann"),
                         "Ann. Likes tea.\n")
        self.good("profile", "rm", "human", "--user", "ann")
        self.assertEqual(self.memory("profile", "show", "human", "--user", "ann").returncode, 66)


class ServerTest(MemoryTest):
    def call(self, server, method, path, body=None, tenant=None):
        connection = server.connect()
        headers = {"content-type": "application/json"}
        if tenant:
            headers["X-Dougong-Tenant"] = tenant
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer

    def test_tenants_do_not_see_each_other(self):
        server = self.serve()
        status, made = self.call(server, "POST", "/v1/memories", {"content": "secret of a"}, "a")
        self.assertEqual(status, 201, made)
        ask = {"query": "secret"}
        self.assertEqual(len(self.call(server, "POST", "/v1/memories/search", ask, "a")[1]["data"]), 1)
        self.assertEqual(self.call(server, "POST", "/v1/memories/search", ask, "b")[1]["data"], [])
        for method, rest, body in [("GET", "", None), ("DELETE", "", None), ("GET", "/history", None),
                                   ("PATCH", "", {"content": "x"}), ("POST", "/restore", {"version": 1})]:
            status, answer = self.call(server, method, f"/v1/memories/{made['id']}{rest}", body, "b")
            self.assertEqual(status, 404, (method, rest, answer))

    def test_the_command_line_goes_through_a_server_that_has_the_folder(self):
        server = self.serve()
        one = self.good("add", "kept by the server", "--url", server.url).strip()
        self.assertIn(one, self.good("ls", "--url", server.url))
        # The folder is the server's, and it does not listen where the command looks by itself.
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", 8080)) == 0:
                self.skipTest("skip: something listens on port 8080")
        alone = self.memory("search", "kept")
        self.assertNotEqual(alone.returncode, 0)
        self.assertIn("--url", alone.stderr)

    def test_what_was_acknowledged_survives_kill_9(self):
        server = self.serve()
        kept = []
        for n in range(40):
            status, made = self.call(server, "POST", "/v1/memories", {"content": f"kept number {n}"})
            self.assertEqual(status, 201, made)
            kept.append(made["id"])
        self.call(server, "PATCH", f"/v1/memories/{kept[3]}", {"content": "changed number 3"})
        self.call(server, "DELETE", f"/v1/memories/{kept[4]}")
        server.process.send_signal(signal.SIGKILL)
        server.wait()
        again = self.serve()
        found = self.call(again, "GET", "/v1/memories?limit=1000&order=asc")[1]["data"]
        self.assertEqual([e["id"] for e in found], kept[:4] + kept[5:])
        self.assertEqual(found[3]["content"], "changed number 3")
        hits = self.call(again, "POST", "/v1/memories/search", {"query": "number 17"})[1]["data"]
        self.assertEqual(hits[0]["memory"]["content"], "kept number 17")

    def test_bad_requests_are_named(self):
        server = self.serve()
        for path, body, param in [("/v1/memories", {"content": ""}, "content"),
                                  ("/v1/memories", {"content": "x", "importance": 3}, "importance"),
                                  ("/v1/memories", {"content": "x", "odd": 1}, "odd"),
                                  ("/v1/memories", {"memories": [{"content": "x"}, {"type": 3}]},
                                   "memories[1].type"),
                                  ("/v1/memories/search", {"query": "x", "limit": 0}, "limit"),
                                  ("/v1/memories/search", {"query": "x", "metadata": "a = ="}, "metadata"),
                                  ("/v1/memories/search", {"query": "x", "embedding": [1, "a"]},
                                   "embedding")]:
            status, answer = self.call(server, "POST", path, body)
            self.assertEqual(status, 400, (body, answer))
            self.assertEqual(answer["error"]["param"], param, answer)


if __name__ == "__main__":
    unittest.main()
