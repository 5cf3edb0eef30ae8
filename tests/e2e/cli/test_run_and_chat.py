import json
import os
import signal
import subprocess
import unittest

from program import DOUGONG, PATIENCE_S, ProgramTest

SMOKE = ("--model", "smoke")
GREEDY = ("--temperature", "0", "-n", "24")


class Run(ProgramTest):
    def test_the_answer_goes_to_stdout_and_timings_to_stderr(self):
        done = self.run_program("run", *SMOKE, *GREEDY, "Once upon a time")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("there was", done.stdout)
        self.assertIn("tokens/s", done.stderr)
        self.assertIn("smoke-test", done.stderr)

    def test_greedy_answers_repeat_and_seeds_do_too(self):
        for sampling in (GREEDY, ("--seed", "7", "-n", "24")):
            answers = {self.run_program("run", *SMOKE, "-q", *sampling, "Once").stdout
                       for _ in range(3)}
            self.assertEqual(len(answers), 1)

    def test_json_has_text_counts_and_timings(self):
        done = self.run_program("run", *SMOKE, *GREEDY, "--json", stdin="Once upon a time")
        answer = json.loads(done.stdout)
        self.assertEqual(answer["completion_tokens"], 24)
        self.assertEqual(answer["finish"], "length")
        self.assertGreater(answer["prompt_tokens"], 0)
        self.assertIn("smoke-test", answer["note"])
        self.assertEqual(done.stderr, "")

    def test_words_and_stdin_are_joined(self):
        joined = self.run_program("run", *SMOKE, *GREEDY, "-q", "--stdin", "Once", stdin="upon")
        whole = self.run_program("run", *SMOKE, *GREEDY, "-q", "Once\nupon")
        self.assertEqual(joined.stdout, whole.stdout)

    def test_a_stop_text_ends_the_answer(self):
        done = self.run_program("run", *SMOKE, "--temperature", "0", "-n", "100", "--stop", "there",
                                "--json", "Once upon a time")
        answer = json.loads(done.stdout)
        self.assertEqual(answer["finish"], "stop")
        self.assertNotIn("there", answer["text"])

    def test_asking_a_server_gives_the_same_answer_as_asking_here(self):
        server = self.serve()
        here = self.run_program("run", *SMOKE, *GREEDY, "-q", "Once upon a time")
        there = self.run_program("run", "--url", server.url, *GREEDY, "-q", "Once upon a time")
        self.assertEqual(there.returncode, 0, there.stderr)
        self.assertEqual(there.stdout, here.stdout)
        raw = self.run_program("run", "--url", server.url, *GREEDY, "-q", "--raw", "Once upon")
        self.assertEqual(raw.returncode, 0, raw.stderr)

    def test_a_wrong_model_name_at_a_server_is_not_found(self):
        server = self.serve()
        done = self.run_program("run", "--url", server.url, "--model", "nobody", "hi")
        self.assertEqual(done.returncode, 66, done.stderr)
        self.assertIn("nobody", done.stderr)


class Chat(ProgramTest):
    def chat(self, text, *more):
        return self.run_program("chat", *SMOKE, *GREEDY, *more, stdin=text)

    def test_each_line_of_a_pipe_is_answered(self):
        done = self.chat("Once upon a time\nThe end\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr.count("tokens/s"), 2)

    def test_lines_join_by_backslash_and_by_block(self):
        for text in ("Once\\\nupon\n", '"""\nOnce\nupon\n"""\n'):
            done = self.chat(text)
            self.assertEqual(done.stderr.count("tokens/s"), 1, done.stderr)
        self.assertEqual(self.chat("Once\\\nupon\n").stdout, self.chat('"""\nOnce\nupon\n"""\n').stdout)

    def test_a_saved_conversation_can_be_gone_on_with(self):
        path = os.path.join(self.home, "talk.json")
        done = self.chat(f"/system Be kind.\nOnce\n/save {path}\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(path, encoding="utf-8") as file:
            saved = json.load(file)["messages"]
        self.assertEqual([m["role"] for m in saved], ["system", "user", "assistant"])
        done = self.chat(f"/load {path}\n/undo\n/save {path}\n")
        with open(path, encoding="utf-8") as file:
            self.assertEqual([m["role"] for m in json.load(file)["messages"]], ["system"])

    def test_regen_writes_the_last_answer_again(self):
        done = self.chat("Once upon a time\n/regen\n")
        answers = [text for text in done.stdout.split("\n") if text]
        self.assertEqual(answers[:len(answers) // 2], answers[len(answers) // 2:])
        self.assertEqual(done.stderr.count("tokens/s"), 2)

    def test_mistakes_are_explained_and_the_talk_goes_on(self):
        done = self.chat("/sett temperature 1\n/set warmth 1\n/set top_p 9\n/load /nowhere\nOnce\n")
        for word in ("set", "warmth", "top_p", "/nowhere"):
            self.assertIn(word, done.stderr)
        self.assertIn("tokens/s", done.stderr)

    def test_quit_leaves_at_once(self):
        done = self.chat("/quit\nOnce\n")
        self.assertEqual(done.returncode, 0)
        self.assertNotIn("tokens/s", done.stderr)

    def test_ctrl_c_stops_the_answer_and_not_the_program(self):
        process = subprocess.Popen([DOUGONG, "chat", *SMOKE, "--temperature", "1.5", "-c", "0"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.environment())
        try:
            process.stdin.write(b"/set max_tokens 0\nOnce upon a time\n")
            process.stdin.flush()
            process.stdout.read(8)  # the answer has begun
            process.send_signal(signal.SIGINT)
            process.stdin.write(b"/stats\n")
            process.stdin.flush()
            _, err = process.communicate(timeout=PATIENCE_S)
            self.assertEqual(process.returncode, 0, err)
            self.assertIn(b"1 answers", err)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


class Models(ProgramTest):
    def test_the_embedded_model_can_be_inspected(self):
        done = self.run_program("models", "inspect", "smoke", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        info = json.loads(done.stdout)["info"]
        self.assertEqual(info["architecture"], "llama")
        self.assertEqual(info["vocab_size"], 512)

    def test_an_empty_folder_lists_nothing_and_says_what_can_be_pulled(self):
        done = self.run_program("models", "list", "--json")
        listing = json.loads(done.stdout)
        self.assertEqual(listing["models"], [])
        self.assertTrue(listing["known"])

    def test_a_local_file_is_pulled_listed_verified_and_removed(self):
        source = os.path.join(os.path.dirname(__file__), "../../../assets/stories260K-f16.gguf")
        pulled = self.run_program("models", "pull", os.path.abspath(source), "--name", "mine",
                                  "--copy", "--json")
        self.assertEqual(pulled.returncode, 0, pulled.stderr)
        self.assertEqual(json.loads(pulled.stdout)["name"], "mine")
        names = [m["name"] for m in json.loads(self.run_program("models", "list", "--json").stdout)["models"]]
        self.assertEqual(names, ["mine"])
        self.assertEqual(self.run_program("models", "verify", "mine").returncode, 0)
        answered = self.run_program("run", "--model", "mine", "-q", *GREEDY, "Once upon a time")
        self.assertIn("there was", answered.stdout)
        with open(json.loads(pulled.stdout)["path"], "r+b") as file:
            file.seek(-1, os.SEEK_END)
            last = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(bytes([last[0] ^ 1]))
        self.assertEqual(self.run_program("models", "verify", "mine").returncode, 65)
        self.assertEqual(self.run_program("models", "rm", "mine").returncode, 0)
        self.assertEqual(self.run_program("models", "rm", "mine").returncode, 66)

    def test_quantize_writes_a_smaller_model_that_runs_and_spares_what_exists(self):
        source = os.path.abspath(os.path.join(os.path.dirname(__file__),
                                              "../../../assets/stories260K-f16.gguf"))
        output = os.path.join(self.home, "small.gguf")
        done = self.run_program("models", "quantize", source, output, "--type", "Q8_0", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertLess(report["bytes_out"], report["bytes_in"])
        self.assertEqual(self.run_program("run", "--model", output, "-q", *GREEDY, "Once").returncode, 0)
        again = self.run_program("models", "quantize", source, output, "--type", "Q8_0")
        self.assertEqual(again.returncode, 73, again.stderr)
        wrong = self.run_program("models", "quantize", source, output + "2", "--type", "Q9_Z")
        self.assertEqual(wrong.returncode, 64)

    def test_bench_measures(self):
        done = self.run_program("bench", "smoke", "--prompt-tokens", "16", "--prompt-tokens", "64",
                                "--decode-tokens", "8", "--repeats", "2", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual([row["prompt_tokens"] for row in report["prefill"]], [16, 64])
        for key in ("load_ms", "prefill_tokens_per_s", "decode_tokens_per_s",
                    "weights_bytes_per_token", "read_bytes_per_s", "bandwidth_share"):
            self.assertGreater(report[key], 0, key)
        too_long = self.run_program("bench", "smoke", "--prompt-tokens", "100000")
        self.assertEqual(too_long.returncode, 64)


if __name__ == "__main__":
    unittest.main()
