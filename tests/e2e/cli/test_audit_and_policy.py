import hashlib
import json
import os
import unittest

from program import ProgramTest


def write_log(folder, events):
    """An audit log as its README describes it, made without the program."""
    os.makedirs(folder)
    lines, hashed = [], "0" * 64
    for seq, members in enumerate(events, 1):
        text = json.dumps({"seq": seq, "prev": hashed, "unix_ns": 1_700_000_000_000_000_000 + seq,
                           **members}, separators=(",", ":"))[:-1]
        hashed = hashlib.sha256(text.encode()).hexdigest()
        lines.append(f'{text},"hash":"{hashed}"}}\n')
    with open(os.path.join(folder, "audit-00000000000000000001.jsonl"), "w", encoding="utf-8") as file:
        file.writelines(lines)
    head = f"{len(events)}:{hashed}"
    slot = f"{head} {hashlib.sha256(head.encode()).hexdigest()[:16]}".ljust(127) + "\n"
    with open(os.path.join(folder, "head"), "w", encoding="utf-8") as file:
        file.write(slot)
    return head, lines


class Audit(ProgramTest):
    def setUp(self):
        super().setUp()
        self.log = os.path.join(self.home, "audit")
        self.head, self.lines = write_log(self.log, [
            {"event": "sandbox.create", "tenant": "acme", "sandbox": "sbx-1"},
            {"event": "exec.end", "tenant": "acme", "sandbox": "sbx-1", "what": "ls \u001b[31m"},
            {"event": "tool_rejected", "tenant": "other", "reason": "looks like fs.read"}])

    def rewrite(self, lines):
        path = os.path.join(self.log, "audit-00000000000000000001.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(lines)

    def test_a_whole_log_verifies_and_prints_its_head(self):
        done = self.run_program("audit", "verify", self.log)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(self.head, done.stdout)
        self.assertEqual(self.run_program("audit", "verify", self.log, "--head", self.head).returncode, 0)

    def test_a_removed_line_is_named(self):
        self.rewrite([self.lines[0], self.lines[2]])
        done = self.run_program("audit", "verify", self.log, "--json")
        self.assertNotEqual(done.returncode, 0)
        faults = json.loads(done.stdout)["faults"]
        self.assertEqual([(fault["kind"], fault["line"]) for fault in faults], [("missing", 2)])

    def test_a_cut_off_end_and_a_foreign_head_are_told(self):
        self.assertNotEqual(self.run_program("audit", "verify", self.log, "--head",
                                             "9:" + "0" * 64).returncode, 0)
        self.rewrite(self.lines[:2])
        self.assertIn("cut off", self.run_program("audit", "verify", self.log).stdout)

    def test_show_filters_and_keeps_the_terminal_safe(self):
        shown = self.run_program("audit", "show", self.log, "--event", "exec")
        self.assertEqual(len(shown.stdout.splitlines()), 1)
        self.assertNotIn("\x1b", shown.stdout)
        raw = self.run_program("audit", "show", self.log, "--tenant", "other", "--json")
        self.assertEqual(raw.stdout, self.lines[2])
        self.assertEqual(self.run_program("audit", "show", self.log, "--since", "1h").stdout, "")
        self.assertEqual(len(self.run_program("audit", "show", self.log, "--since",
                                              "2020-01-01").stdout.splitlines()), 3)
        self.assertNotEqual(self.run_program("audit", "show", self.log, "--since", "soon").returncode, 0)


POLICY = """version: 1
name: team
tools:
  - id: read
    effect: allow
    tools: [fs.read]
    arguments: {path: {path_prefix: [/workspace]}}
"""


class Policy(ProgramTest):
    def explain(self, tool, arguments):
        done = self.run_program("policy", "explain", self.policy, "--tool", tool, "--args",
                                json.dumps(arguments), "--json")
        return done.returncode, json.loads(done.stdout)

    def setUp(self):
        super().setUp()
        self.policy = self.write("policy.yaml", POLICY)

    def test_explain_decides_and_says_why(self):
        status, decision = self.explain("fs.read", {"path": "a.txt"})
        self.assertEqual((status, decision["effect"], decision["rule"]), (0, "allow", "read"))
        status, decision = self.explain("fs.read", {"path": "/etc/passwd"})
        self.assertNotEqual(status, 0)
        self.assertEqual(decision["cause"], "no_rule")
        self.assertFalse(decision["rules"][0]["matches"])
        _, decision = self.explain("FS.read", {"path": "a.txt"})
        self.assertEqual(decision["cause"], "tool_rejected")

    def test_check_names_the_place(self):
        self.assertEqual(self.run_program("policy", "check", self.policy).returncode, 0)
        wrong = self.write("wrong.yaml", POLICY.replace("allow", "alow"))
        done = self.run_program("policy", "check", wrong)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("wrong.yaml:5:13", done.stderr)

    def test_the_schema_is_json(self):
        schema = json.loads(self.run_program("policy", "schema").stdout)
        self.assertIn("tools", schema["$defs"]["policy"]["properties"])


if __name__ == "__main__":
    unittest.main()
