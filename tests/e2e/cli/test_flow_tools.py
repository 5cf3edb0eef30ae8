"""Steps that call what agents call: memory tools and sandbox tools."""
import json
import unittest

from program import ProgramTest

REMEMBER = """
name: remember
steps:
  - {id: keep, tool: {name: memory_add, arguments: {content: "The red bicycle is in the shed."}}}
  - {id: also, memory: {operation: memory_add, arguments: {content: "The blue kite is in the attic."}}}
  - {id: find, tool: {name: memory_search, arguments: {query: "where is the bicycle"}}}
"""
COMPUTE = """
name: compute
steps:
  - {id: first, tool: {name: run_code, arguments: {code: "x = 20"}}}
  - {id: second, tool: {name: run_code, arguments: {code: "x + 22"}}}
"""


class FlowTools(ProgramTest):
    def test_memory_tools_are_steps(self):
        done = self.run_program("flow", "run", self.write("remember.yaml", REMEMBER))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("red bicycle", json.dumps(json.loads(done.stdout.splitlines()[-1])))

    def test_an_unknown_tool_is_refused_when_deployed(self):
        wrong = self.run_program("flow", "deploy", self.write("wrong.yaml", REMEMBER.replace("memory_search", "memory_serch")))
        self.assertEqual(wrong.returncode, 64)
        self.assertIn("memory_search", wrong.stderr, "what was meant")

    def test_a_run_has_a_sandbox_of_its_own(self):
        if self.run_program("sandbox", "run", "--", "true").returncode != 0:
            raise unittest.SkipTest("no sandboxes on this machine: sandbox tools are not called")
        done = self.run_program("flow", "run", self.write("compute.yaml", COMPUTE))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("42", done.stdout.splitlines()[-1], "the second call finds what the first left")
