"""The commands of `dougong sandbox` that use a running server's boxes."""
import fcntl
import io
import json
import os
import pty
import select
import signal
import struct
import subprocess
import tarfile
import termios
import unittest

from program import DOUGONG, PATIENCE_S, ProgramTest


class Pty:
    """The program on a terminal of its own."""

    def __init__(self, test, arguments, environment, columns=90, rows=20):
        self.test = test
        self.master, slave = pty.openpty()
        self.slave = os.dup(slave)
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen([DOUGONG, *arguments], stdin=slave, stdout=slave,
                                        stderr=slave, env=environment, cwd=environment["HOME"],
                                        start_new_session=True, preexec_fn=self.own_terminal)
        os.close(slave)
        self.shown = ""
        test.addCleanup(self.close)

    @staticmethod
    def own_terminal():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that a change of size is told to the program

    def resize(self, columns, rows):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys):
        os.write(self.master, keys.encode())

    def wait_for(self, text):
        while text not in self.shown:
            ready, _, _ = select.select([self.master], [], [], PATIENCE_S)
            if not ready:
                self.test.fail(f"no '{text}' in: {self.shown!r}")
            try:
                self.shown += os.read(self.master, 65536).decode(errors="replace")
            except OSError:
                self.test.fail(f"ended without '{text}': {self.shown!r}")

    def wait(self):
        # What is still to come must be read, or the program waits for room.
        while self.process.poll() is None:
            if select.select([self.master], [], [], 0.01)[0]:
                self.shown += os.read(self.master, 65536).decode(errors="replace")
        return self.process.returncode

    def restored(self):
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


class SandboxServer(ProgramTest):
    def setUp(self):
        super().setUp()
        doctor = self.run_program("sandbox", "doctor", "--json")
        if doctor.returncode != 0:
            self.skipTest("NO SANDBOX CAN BE MADE ON THIS HOST")
        self.server = self.serve("--sandbox.state_dir", os.path.join(self.home, "boxes"))

    def sandbox(self, *arguments, stdin=""):
        # The server's address goes before "--", after which everything is the command's.
        at = arguments.index("--") if "--" in arguments else len(arguments)
        return self.run_program("sandbox", *arguments[:at], "--url", self.server.url,
                                *arguments[at:], stdin=stdin)

    def ok(self, *arguments, stdin=""):
        done = self.sandbox(*arguments, stdin=stdin)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout

    def terminal(self, *arguments, **more):
        at = arguments.index("--") if "--" in arguments else len(arguments)
        return Pty(self, ["sandbox", *arguments[:at], "--url", self.server.url, *arguments[at:]],
                   self.environment(TERM="xterm"), **more)

    def test_a_box_from_create_to_rm(self):
        box = self.ok("create", "--name", "one", "--label", "for=test", "--env", "A=b").strip()
        self.assertRegex(box, r"^sbx-\w{20}$")
        self.assertIn("one", self.ok("ls"))
        told = json.loads(self.ok("ls", "--json"))["data"][0]
        self.assertEqual((told["labels"], told["environment"]), ({"for": "test"}, {"A": "b"}))
        self.assertEqual(self.ok("exec", "one", "--", "sh", "-c", "echo $A"), "b\n")
        self.assertEqual(self.ok("pause", "one"), box + "\n")
        self.assertNotEqual(self.sandbox("exec", "one", "--", "true").returncode, 0)
        self.ok("resume", box[4:9])
        self.assertIn(box, self.ok("top", "--once"))
        self.ok("rm", "one")
        self.assertEqual(json.loads(self.ok("ls", "--json"))["data"], [])
        self.assertEqual(self.sandbox("exec", "one", "--", "true").returncode, 66)
        self.assertIn("echo $A", self.ok("logs", box), "what ran is still told")

    def test_a_session_keeps_what_it_knows_and_forks(self):
        self.ok("create", "--name", "b")
        first = self.ok("session", "open", "b").strip()
        self.assertEqual(self.ok("session", "run", "b", first, "x = 20; print('said'); x + 1"),
                         "said\n21\n")
        second = self.ok("session", "fork", "b", first).strip()
        self.assertNotEqual(first, second)
        self.ok("session", "run", "b", second, "x += 1")
        self.assertEqual(self.ok("session", "run", "b", second, stdin="x"), "21\n")
        self.assertEqual(self.ok("session", "run", "b", first, "-", stdin="x"), "20\n")
        listed = json.loads(self.ok("session", "ls", "b", "--json"))["data"]
        self.assertEqual({s["id"]: s.get("forked_from") for s in listed},
                         {first: None, second: first})
        self.assertIn(f"fork of {first}", self.ok("session", "ls", "b"))
        failed = self.sandbox("session", "run", "b", first, "1 / 0")
        self.assertEqual(failed.returncode, 1)
        self.assertIn("ZeroDivisionError", failed.stderr)
        self.ok("session", "rm", "b", first)
        self.assertEqual(self.sandbox("session", "run", "b", first, "x").returncode, 66)
        nothing = self.sandbox("session", "run", "b", "first", "x")
        self.assertEqual(nothing.returncode, 64)
        self.assertIn("session ls b", nothing.stderr)

    def test_exec_passes_output_status_and_input_on(self):
        self.ok("create", "--name", "b")
        done = self.sandbox("exec", "b", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (7, "out\n", "err\n"))
        done = self.sandbox("exec", "-i", "b", "--", "wc", "-c", stdin="x" * 3_000_000)
        self.assertEqual((done.returncode, done.stdout.strip()), (0, "3000000"))
        done = self.sandbox("exec", "--timeout-s", "0.3", "b", "--", "sleep", "100")
        self.assertEqual(done.returncode, 124)
        done = self.sandbox("exec", "b", "--", "sh", "-c", "kill -9 $$")
        self.assertEqual(done.returncode, 137)
        told = json.loads(self.sandbox("exec", "--json", "b", "--", "sh", "-c", "echo o; exit 3").stdout)
        self.assertEqual((told["stdout"], told["exit_code"]), ("o\n", 3))
        done = self.sandbox("exec", "b", "--", "no-such-program")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no-such-program", done.stderr)

    def test_cp_takes_files_and_trees_both_ways(self):
        self.ok("create", "--name", "b")
        self.write("one.txt", "1\n")
        self.write("tree/sub/run.sh", "#!/bin/sh\necho ran\n")
        os.chmod(os.path.join(self.home, "tree/sub/run.sh"), 0o755)
        os.symlink("sub/run.sh", os.path.join(self.home, "tree/link"))
        self.ok("cp", "one.txt", "b:")
        self.ok("cp", "one.txt", "b:/workspace/new/two.txt")
        self.ok("cp", "tree", "b:")
        self.ok("cp", "tree", "b:renamed")
        self.assertEqual(self.ok("exec", "b", "--", "sh", "-c",
                                 "cat one.txt new/two.txt; tree/link; renamed/link"),
                         "1\n1\nran\nran\n")
        listed = self.ok("ls", "-l", "b:tree")
        self.assertIn("link -> sub/run.sh", listed)
        self.assertRegex(self.ok("ls", "-l", "b:tree/sub"), r"-rwxr-xr-x +19 .* run\.sh")
        self.ok("cp", "b:tree", "back")
        self.ok("cp", "b:new/two.txt", "two")
        with open(os.path.join(self.home, "back/sub/run.sh"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "#!/bin/sh\necho ran\n")
        self.assertTrue(os.access(os.path.join(self.home, "back/sub/run.sh"), os.X_OK))
        self.assertEqual(os.readlink(os.path.join(self.home, "back/link")), "sub/run.sh")
        with open(os.path.join(self.home, "two"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "1\n")
        own = (".cache", ".local", "boxes", "boxes-audit")  # the server's
        left = sorted(name for name in os.listdir(self.home) if name not in own)
        self.assertEqual(left, ["back", "one.txt", "tree", "two"])
        for wrong in (["b:nothing", "x"], ["b:../x", "x"], ["b:/etc/passwd", "x"], ["x", "y"],
                      ["nothing", "b:"], ["b:one.txt", "b:two"], ["b:tree", "back/sub/run.sh"]):
            self.assertNotEqual(self.sandbox("cp", *wrong).returncode, 0, wrong)

    def test_a_large_file_goes_through_whole(self):
        self.ok("create", "--name", "b")
        path = os.path.join(self.home, "large")
        with open(path, "wb") as file:
            for number in range(1_000_000):
                file.write(b"%063d\n" % number)  # 64 MB, over the bound of other requests
        self.ok("cp", "large", "b:")
        self.ok("cp", "b:large", "back")
        self.assertEqual(subprocess.run(["cmp", path, os.path.join(self.home, "back")]).returncode, 0)

    def test_a_shell_on_a_terminal(self):
        self.ok("create", "--name", "b")
        shell = self.terminal("shell", "b")
        shell.type("stty size; echo sta''rted\n")
        shell.wait_for("started")
        self.assertIn("20 90", shell.shown)
        self.assertFalse(shell.restored(), "keys go through raw")
        shell.resize(70, 33)
        shell.type("while [ \"$(stty size)\" != '33 70' ]; do :; done; echo si''zed\n")
        shell.wait_for("sized")
        shell.type("sh -c \"echo sle''eping; exec sleep 1000\"\n")
        shell.wait_for("sleeping")
        shell.type("\x03")
        shell.wait_for("^C")  # with it goes what was typed and not read
        shell.type("echo sta''tus $?\n")
        shell.wait_for("status 130")
        shell.type("exit 5\n")
        self.assertEqual(shell.wait(), 5)
        self.assertTrue(shell.restored())

    def test_the_terminal_is_put_back_whatever_ends_it(self):
        self.ok("create", "--name", "b")
        program = self.terminal("exec", "-it", "b", "--", "sh", "-c", "echo rea''dy; sleep 1000")
        program.wait_for("ready")
        program.process.send_signal(signal.SIGTERM)
        self.assertNotEqual(program.wait(), 0)
        self.assertTrue(program.restored())
        gone = self.terminal("exec", "-it", "b", "--", "sh", "-c", "echo rea''dy; sleep 1000")
        gone.wait_for("ready")
        self.ok("rm", "b")
        self.assertNotEqual(gone.wait(), 0)
        self.assertTrue(gone.restored())

    def test_logs_show_what_ran_and_go_on(self):
        self.ok("create", "--name", "b")
        self.sandbox("exec", "b", "--", "sh", "-c", "echo first; exit 3")
        text = self.ok("logs", "b")
        self.assertIn("$ sh -c 'echo first; exit 3'\nfirst\n[exit 3]\n", text)
        follow = subprocess.Popen([DOUGONG, "sandbox", "logs", "-f", "b", "--url", self.server.url],
                                  stdout=subprocess.PIPE, text=True, env=self.environment())
        self.addCleanup(follow.stdout.close)
        self.addCleanup(follow.wait)
        self.addCleanup(follow.kill)
        self.assertEqual(follow.stdout.readline(), "$ sh -c 'echo first; exit 3'\n")
        self.ok("exec", "b", "--", "echo", "second")
        lines = [follow.stdout.readline() for _ in range(5)]
        self.assertEqual(lines, ["first\n", "[exit 3]\n", "$ echo second\n", "second\n", "[exit 0]\n"])
        follow.send_signal(signal.SIGINT)
        self.assertEqual(follow.wait(PATIENCE_S), 0)
        until = subprocess.Popen([DOUGONG, "sandbox", "logs", "-f", "b", "--url", self.server.url],
                                 stdout=subprocess.PIPE, text=True, env=self.environment())
        self.addCleanup(until.stdout.close)
        self.addCleanup(until.kill)
        self.assertEqual(until.stdout.readline(), "$ sh -c 'echo first; exit 3'\n")
        self.ok("rm", "b")
        self.assertEqual(until.wait(PATIENCE_S), 0, "it ends with the sandbox")

    def test_snapshots_are_kept_listed_restored_and_removed(self):
        self.ok("create", "--name", "b")
        self.ok("exec", "b", "--", "sh", "-c", "echo one > a")
        kept = self.ok("snapshot", "b", "--name", "tested", "--persist").strip()
        memory = self.ok("snapshot", "b").strip()
        self.assertRegex(self.ok("snapshot", "ls"), f"{kept} .* disk .*\n{memory} .* memory ")
        self.assertEqual(self.ok("snapshot"), self.ok("snapshot", "ls"))
        self.ok("snapshot", "restore", "tested", "--name", "again")
        self.assertEqual(self.ok("exec", "again", "--", "cat", "a"), "one\n")
        self.assertEqual(self.ok("snapshot", "rm", "tested", memory), f"{kept}\n{memory}\n")
        self.assertEqual(self.ok("snapshot", "ls"), "")
        self.assertEqual(self.sandbox("snapshot", "rm", "tested").returncode, 66)
        self.assertEqual(self.sandbox("snapshot", "restore", "tested").returncode, 66)

    def test_images_are_imported_used_and_removed(self):
        tar = os.path.join(self.home, "root-1.tar.gz")
        with tarfile.open(tar, "w:gz") as archive:
            entry = tarfile.TarInfo("etc/motd")
            entry.size = 5
            archive.addfile(entry, io.BytesIO(b"image"))
        made = self.ok("image", "import", tar).strip()
        self.assertRegex(made, "^sha256:[0-9a-f]{64}$")
        self.assertIn(" root-1\n", self.ok("image", "ls"))
        self.ok("image", "import", tar, "--name", "test/motd:1")
        self.assertNotIn(" root-1\n", self.ok("image", "ls"), "one image, one name")
        self.ok("create", "--name", "i", "--image", "test/motd:1")
        self.assertNotEqual(self.sandbox("image", "rm", "test/motd:1").returncode, 0)
        self.ok("rm", "i")
        self.assertEqual(self.ok("image", "rm", made[7:19]), made + "\n")
        self.assertEqual(self.ok("image", "ls"), "")

    def test_the_stop_ends_all_and_is_lifted(self):
        self.ok("create", "--name", "b")
        self.assertEqual(self.sandbox("stop").returncode, 64)
        self.assertIn("stopped 1", self.ok("stop", "--all"))
        self.assertNotEqual(self.sandbox("create").returncode, 0)
        self.ok("stop", "--all", "--lift")
        self.ok("create")

    def test_tenants_do_not_see_each_other(self):
        box = self.ok("create", "--tenant", "blue").strip()
        self.assertEqual(self.sandbox("ls", box).returncode, 66)
        self.assertEqual(self.sandbox("rm", box, "--tenant", "red").returncode, 66)
        self.ok("rm", box, "--tenant", "blue")

    def test_what_is_wrong_is_said(self):
        done = self.run_program("sandbox", "ls", "--url", "http://127.0.0.1:1")
        self.assertEqual(done.returncode, 69)
        self.assertIn("127.0.0.1:1", done.stderr)
        done = self.sandbox("create", "--network", "wifi")
        self.assertEqual(done.returncode, 64)
        self.assertIn("network.mode", done.stderr)
        self.ok("create", "--name", "same-a")
        self.ok("create", "--name", "same-b")
        done = self.sandbox("rm", "sbx-")
        self.assertEqual(done.returncode, 64)
        self.assertIn("fits 2", done.stderr)


if __name__ == "__main__":
    unittest.main()
