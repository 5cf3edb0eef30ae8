"""Servers that share a database: each finds what any wrote, and kill -9 of one or of all loses nothing."""
import json
import signal
import unittest

import test_memory
from databases import Postgres, Redis


class NodesTest(test_memory.MemoryTest):
    call = test_memory.ServerTest.call

    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres()
        cls.addClassCleanup(cls.postgres.stop)
        cls.redis = Redis()
        cls.addClassCleanup(cls.redis.stop)

    def node(self, name):
        return self.serve(env={"DOUGONG_MEMORY_DIR": self.postgres.url(name),
                               "DOUGONG_MEMORY_SESSIONS": self.redis.url(name),
                               "DOUGONG_MEMORY_ENABLED": "on"})

    def search(self, server, text):
        status, answer = self.call(server, "POST", "/v1/memories/search", {"query": text})
        self.assertEqual(status, 200, answer)
        return [hit["memory"]["content"] for hit in answer["data"]]

    def test_nodes_find_what_each_other_wrote_and_kill_9_takes_nothing(self):
        one, two = self.node("shared"), self.node("shared")
        kept = []
        for n in range(30):
            status, made = self.call(one if n % 2 else two, "POST", "/v1/memories",
                                     {"content": f"kept number {n}",
                                      "type": "short_term" if n % 3 == 0 else "episodic"})
            self.assertEqual(status, 201, made)
            kept.append(made["id"])
        self.call(two, "PATCH", f"/v1/memories/{kept[3]}", {"content": "changed entry three"})
        self.call(one, "DELETE", f"/v1/memories/{kept[4]}")
        self.assertEqual(self.search(one, "changed entry")[0], "changed entry three")
        self.assertEqual(self.search(two, "number 17")[0], "kept number 17")
        self.assertNotIn("kept number 4", self.search(two, "number 4"))
        one.process.send_signal(signal.SIGKILL)
        one.wait()
        status, made = self.call(two, "POST", "/v1/memories", {"content": "written by the other"})
        self.assertEqual(status, 201, made)
        two.process.send_signal(signal.SIGKILL)
        two.wait()
        self.postgres.kill()
        self.redis.kill()
        self.postgres.start()
        self.redis.start()
        again = self.node("shared")
        found = self.call(again, "GET", "/v1/memories?limit=1000&order=asc")[1]["data"]
        self.assertEqual(sorted(e["id"] for e in found), sorted(kept[:4] + kept[5:] + [made["id"]]))
        self.assertEqual(self.search(again, "written by the other")[0], "written by the other")
        stats = self.memory("stats", "--url", again.url)
        self.assertIn("postgresql://dougong:***@", stats.stdout)
        self.assertIn("redis+unix://", stats.stdout)

    def test_a_server_goes_on_when_its_database_is_back(self):
        server = self.node("back")
        self.assertEqual(self.call(server, "POST", "/v1/memories", {"content": "a walnut before"})[0], 201)
        self.postgres.kill()
        status, answer = self.call(server, "POST", "/v1/memories", {"content": "while away"})
        self.assertEqual(status, 503, answer)
        self.assertNotIn("geheim", json.dumps(answer))
        self.postgres.start()
        self.assertEqual(self.call(server, "POST", "/v1/memories", {"content": "a walnut after"})[0], 201)
        self.assertEqual(sorted(self.search(server, "walnut")), ["a walnut after", "a walnut before"])

    def test_without_redis_only_short_term_memories_are_missed(self):
        server = self.node("away")
        for kind in ("short_term", "long_term"):
            made = {"content": f"a {kind} walnut", "type": kind}
            self.assertEqual(self.call(server, "POST", "/v1/memories", made)[0], 201)
        self.redis.kill()
        status, answer = self.call(server, "POST", "/v1/memories", {"content": "x", "type": "short_term"})
        self.assertEqual(status, 503, answer)
        self.assertEqual(self.call(server, "POST", "/v1/memories", {"content": "y"})[0], 201)
        status, answer = self.call(server, "POST", "/v1/memories/search", {"query": "walnut"})
        self.assertEqual((status, answer["sessions_missing"], len(answer["data"])), (200, True, 1), answer)
        self.redis.start()
        self.assertEqual(sorted(self.search(server, "walnut")[:2]), ["a long_term walnut", "a short_term walnut"])

    def test_the_command_line_uses_the_database_beside_a_server(self):
        server = self.node("cli")
        env = {"DOUGONG_MEMORY_DIR": self.postgres.url("cli")}
        done = self.run_program("memory", "add", "written beside the server", "--url", server.url, env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.search(server, "beside the server"), ["written beside the server"])

    def test_what_is_wrong_is_said_without_the_password(self):
        wrong = self.postgres.url().replace("geheim", "geheim2")
        done = self.run_program("memory", "stats", env={"DOUGONG_MEMORY_DIR": wrong})
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("pg_hba.conf", done.stderr)
        self.assertNotIn("geheim", done.stdout + done.stderr)
        shown = self.run_program("config", env={"DOUGONG_MEMORY_DIR": wrong})
        self.assertIn("postgresql://dougong:***@", shown.stdout)
        self.assertNotIn("geheim", shown.stdout + shown.stderr)


if __name__ == "__main__":
    unittest.main()
