import json
import subprocess
import os
import unittest

from program import DOUGONG, PATIENCE_S, ProgramTest

COMMANDS = [["serve"], ["run"], ["chat"], ["models"], ["models", "pull"], ["models", "list"],
            ["models", "inspect"], ["models", "verify"], ["models", "rm"], ["models", "convert"],
            ["models", "quantize"], ["sandbox", "run"], ["sandbox", "doctor"], ["audit"],
            ["audit", "verify"], ["audit", "show"], ["policy"], ["policy", "check"],
            ["policy", "explain"], ["policy", "schema"], ["bench"], ["config"], ["version"],
            ["completion"], ["manual"]]


class Help(ProgramTest):
    def test_every_command_explains_itself_with_examples(self):
        for command in COMMANDS:
            with self.subTest(command=command):
                done = self.run_program(*command, "--help")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("Usage: dougong " + " ".join(command), done.stdout)
                self.assertIn("Examples:", done.stdout)
                self.assertEqual(done.stderr, "")

    def test_the_program_lists_commands_and_exit_statuses(self):
        done = self.run_program("--help")
        self.assertEqual(done.returncode, 0)
        for word in ("serve", "chat", "models", "Exit status:", "64"):
            self.assertIn(word, done.stdout)

    def test_no_command_is_a_usage_error_on_stderr(self):
        for arguments in ([], ["models"]):
            done = self.run_program(*arguments)
            self.assertEqual(done.returncode, 64)
            self.assertEqual(done.stdout, "")
            self.assertIn("Commands:", done.stderr)

    def test_version_is_the_same_by_flag_and_by_command_and_as_json(self):
        by_flag, by_command = self.run_program("--version"), self.run_program("version")
        self.assertEqual(by_flag.stdout, by_command.stdout)
        fields = json.loads(self.run_program("version", "--json").stdout)
        self.assertIn(fields["version"], by_command.stdout)
        self.assertTrue(fields["kernel_target"])

    def test_the_completion_script_completes(self):
        script = self.run_program("completion", "bash").stdout
        ask = script + '\nCOMP_WORDS=(dougong mod); COMP_CWORD=1; _dougong; echo "${COMPREPLY[@]}"'
        done = subprocess.run(["bash"], input=ask, capture_output=True, text=True,
                              timeout=PATIENCE_S)
        self.assertEqual(done.stdout.strip(), "models", done.stderr)

    def test_the_manual_has_every_command(self):
        page = self.run_program("manual").stdout
        self.assertTrue(page.startswith(".TH DOUGONG 1"))
        for command in COMMANDS:
            if command != ["models"]:
                self.assertIn(".SS dougong " + " ".join(command), page)


class Errors(ProgramTest):
    def assert_one_line_error(self, done, status, *words):
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertTrue(done.stderr.startswith("dougong: "), done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_a_mistyped_command_is_guessed(self):
        self.assert_one_line_error(self.run_program("sevre"), 64, "'serve'")

    def test_a_mistyped_option_is_guessed(self):
        self.assert_one_line_error(self.run_program("serve", "--prot", "1"), 64, "'--port'")

    def test_a_missing_argument_is_named(self):
        self.assert_one_line_error(self.run_program("models", "verify"), 64, "MODEL")

    def test_a_wrong_number_says_its_range(self):
        self.assert_one_line_error(self.run_program("run", "hi", "--top-p", "3"), 64, "--top-p", "1")

    def test_a_model_that_does_not_exist_is_not_found(self):
        self.assert_one_line_error(self.run_program("run", "hi", "--model", "no-such-model"), 66,
                                   "no-such-model")

    def test_a_file_that_is_no_model_is_damaged_data(self):
        path = self.write("broken.gguf", "GGUF\x03\0\0\0" + "x" * 100)
        self.assert_one_line_error(self.run_program("run", "hi", "--model", path), 65)

    def test_offline_refuses_to_pull(self):
        self.assert_one_line_error(self.run_program("models", "pull", "--offline"), 78, "offline")

    def test_an_empty_prompt_is_refused(self):
        self.assert_one_line_error(self.run_program("run", "--model", "smoke"), 64, "prompt")

    def test_a_server_that_is_not_there_is_unavailable(self):
        done = self.run_program("run", "--url", "http://127.0.0.1:1", "hi")
        self.assert_one_line_error(done, 69, "127.0.0.1")

    def test_a_closed_pipe_ends_quietly(self):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([DOUGONG, "run", "--model", "smoke", "-q", "-n", "50", "Once"],
                              stdout=writer, stderr=subprocess.PIPE, text=True,
                              timeout=PATIENCE_S, env=self.environment())
        os.close(writer)
        self.assertGreaterEqual(done.returncode, 0, "killed by a signal")


if __name__ == "__main__":
    unittest.main()
