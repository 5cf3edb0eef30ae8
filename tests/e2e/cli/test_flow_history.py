"""Histories of any length: pages from both ends, what runs used in lists, large values one by one."""
import json
import os
import unittest

from program import ProgramTest

LONG = """
name: long
steps:
  - id: loop
    while:
      condition: "{{ (vars.n or 0) < 2000 }}"
      max: 5000
      collect: false
      steps: [{id: one, set: {n: "{{ index + 1 }}"}}]
  - {id: wide, set: {all: "{{ range(20000) }}"}}
"""


class FlowHistory(ProgramTest):
    def told(self, *words):
        done = self.run_program("flow", *words, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_a_long_run_is_looked_at_from_both_ends(self):
        file = self.write("long.yaml", LONG)
        done = self.run_program("flow", "run", file)
        self.assertEqual(done.returncode, 0, done.stderr)
        run = done.stdout.split()[0]
        tail = self.told("show", run, "--tail", "3")
        total = tail["total"]
        self.assertGreater(total, 8000)
        self.assertEqual([each["place"] for each in tail["data"]], [total - 2, total - 1, total])
        self.assertEqual(tail["data"][-1]["event"], "run_completed")
        middle = self.told("show", run, "--before", "5000", "--limit", "2")
        self.assertEqual([each["place"] for each in middle["data"]], [4998, 4999])
        after = self.told("show", run, "--after", "4997", "--limit", "2")
        self.assertEqual(after["data"], middle["data"])
        text = self.run_program("flow", "show", run, "--tail", "2")
        self.assertIn(f"{total - 1} to {total} of {total} events; earlier ones with --before {total - 1}", text.stdout)
        self.assertEqual(self.run_program("flow", "show", run, "--tail", "2", "--after", "1").returncode, 64)

        head = self.told("list")["data"][0]
        self.assertEqual(head["events"], total)
        self.assertEqual(head["totals"]["steps"], 2002)
        self.assertEqual(self.told("show", run)["totals"]["kinds"]["set"]["steps"], 2001)
        self.assertIn("0 calls", self.run_program("flow", "list", "--totals").stdout)

        large = next(each["value"] for each in self.told("show", run, "--tail", "5")["data"]
                     if "$blob" in each.get("value", {}))
        target = os.path.join(self.home, "value.json")
        done = self.run_program("flow", "blob", run, large["$blob"], "-o", target)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(target, encoding="utf-8") as got:
            text = got.read()
        self.assertEqual(len(text), large["bytes"])
        self.assertEqual(json.loads(text)["all"], list(range(20000)))
        self.assertNotEqual(self.run_program("flow", "blob", run, "0" * 64).returncode, 0)


if __name__ == "__main__":
    unittest.main()
