import json
import os
import unittest

from program import ProgramTest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
EXAMPLES = os.path.join(ROOT, "examples", "flows")


class FlowFiles(ProgramTest):
    def test_the_examples_are_valid(self):
        files = [os.path.join(EXAMPLES, name) for name in sorted(os.listdir(EXAMPLES))
                 if name.endswith(".yaml")]
        done = self.run_program("flow", "validate", *files)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), len(files))

    def test_every_fault_is_told_with_its_place(self):
        wrong = self.write("wrong.yaml", "name: w\nsteps:\n  - id: a\n    tool: t\n    retires: 3\n"
                                         "    if: steps.b.output\n")
        done = self.run_program("flow", "validate", wrong)
        self.assertEqual(done.returncode, 64)
        self.assertIn("wrong.yaml:5:5: unknown field 'retires' in step 'a': did you mean 'retry'?",
                      done.stderr)
        self.assertIn("wrong.yaml:6:9: step 'a': there is no step 'b'", done.stderr)
        told = json.loads(self.run_program("flow", "validate", wrong, "--json").stdout)
        self.assertEqual([(each["line"], each["column"]) for each in told[0]["faults"]],
                         [(5, 5), (6, 9)])

    def test_graphs_in_three_formats(self):
        file = os.path.join(EXAMPLES, "order.yaml")
        self.assertTrue(self.run_program("flow", "graph", file).stdout.startswith("flowchart TD\n"))
        dot = self.run_program("flow", "graph", file, "--format", "dot").stdout
        self.assertTrue(dot.startswith('digraph "order" {'))
        graph = json.loads(self.run_program("flow", "graph", file, "--format", "json").stdout)
        self.assertIn({"from": "reserve", "to": "charge", "kind": "after", "label": ""},
                      graph["edges"])
        self.assertNotEqual(self.run_program("flow", "graph", file, "--format", "svg").returncode, 0)

    def test_the_schema_is_json(self):
        schema = json.loads(self.run_program("flow", "schema").stdout)
        self.assertIn("step", schema["$defs"])


if __name__ == "__main__":
    unittest.main()
