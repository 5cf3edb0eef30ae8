"""MCP servers as a person calls them: our own server is the peer, as a command and over HTTP."""
import json
import os
import subprocess

from program import DOUGONG, PATIENCE_S, ProgramTest

HERE = os.path.abspath(DOUGONG)
FIXTURE = ("--", HERE, "mcp", "serve", "--conformance")


class McpClient(ProgramTest):
    def fixture_url(self):
        """The conformance fixture over HTTP."""
        server = subprocess.Popen([HERE, "mcp", "serve", "--conformance", "--port", "0"],
                                  stdout=subprocess.PIPE, text=True, cwd=self.home,
                                  env=self.environment())
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait, PATIENCE_S)
        self.addCleanup(server.terminate)
        return server.stdout.readline().split()[-1]

    def both(self):
        return [((self.fixture_url(),), ()), ((), FIXTURE)]

    def test_lists_what_is_offered(self):
        for before, after in self.both():
            done = self.run_program("mcp", "list", *before, "--json", *after)
            self.assertEqual(done.returncode, 0, done.stderr)
            names = [tool["name"] for tool in json.loads(done.stdout)["tools"]]
            self.assertIn("test_simple_text", names)

    def test_calls_a_tool_in_every_revision(self):
        for before, after in self.both():
            for revision in ("2026-07-28", "2025-11-25"):
                done = self.run_program("mcp", "call", *before, "test_simple_text", "--revision",
                                        revision, *after)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("simple text", done.stdout)

    def test_a_tool_that_fails_and_one_that_is_not_there(self):
        done = self.run_program("mcp", "call", "test_error_handling", *FIXTURE)
        self.assertEqual(done.returncode, 1, done.stderr)
        done = self.run_program("mcp", "call", "test_simple_texd", *FIXTURE)
        self.assertNotIn(done.returncode, (0, 1))
        self.assertIn("test_simple_text", done.stderr)

    def test_inspects(self):
        done = self.run_program("mcp", "inspect", "--json", *FIXTURE)
        answer = json.loads(done.stdout)
        self.assertEqual(answer["revision"], "2026-07-28")
        self.assertEqual(answer["faults"], [], done.stdout)
        self.assertEqual(done.returncode, 0)

    def test_what_is_no_server_is_said(self):
        done = self.run_program("mcp", "list", "--", "no-such-program-anywhere")
        self.assertIn("no-such-program-anywhere", done.stderr)
        self.assertNotEqual(done.returncode, 0)
        done = self.run_program("mcp", "list", "--", "sh", "-c", "echo 'no license' >&2; exit 3")
        self.assertIn("no license", done.stderr)
        done = self.run_program("mcp", "list")
        self.assertIn("which server?", done.stderr)
        done = self.run_program("mcp", "list", "http://127.0.0.1:9/mcp")
        self.assertNotEqual(done.returncode, 0)

    def test_wants_arguments_as_the_schema_says(self):
        done = self.run_program("mcp", "call", "test_simple_text", "nonsense", *FIXTURE)
        self.assertIn("NAME=VALUE", done.stderr)
        done = self.run_program("mcp", "call", "test_simple_text", "--args", "[1]", *FIXTURE)
        self.assertIn("--args", done.stderr)
