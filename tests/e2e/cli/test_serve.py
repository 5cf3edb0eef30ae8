import json
import os
import signal
import socket
import subprocess
import unittest

from program import DOUGONG, PATIENCE_S, ProgramTest, Server


class Serve(ProgramTest):
    def test_it_announces_address_model_and_console(self):
        server = self.serve()
        text = "\n".join(server.announced)
        for word in ("listening", "model", "loaded in", "smoke-test", "console"):
            self.assertIn(word, text)
        self.assertGreater(server.port, 0)

    def test_health_readiness_models_and_console_answer(self):
        server = self.serve()
        self.assertEqual(server.get("/healthz")[0], 200)
        self.assertEqual(server.get("/readyz")[0], 200)
        models = json.loads(server.get("/v1/models")[1])["data"]
        self.assertEqual([m["id"] for m in models], ["stories260K"])
        status, page = server.get("/")
        self.assertEqual(status, 200)
        self.assertIn("<html", page)
        self.assertEqual(server.get("/v1/nothing")[0], 404)

    def test_the_console_can_be_turned_off(self):
        server = self.serve("--server.console=false")
        self.assertEqual(server.get("/")[0], 404)

    def test_the_configuration_is_shown_without_secrets(self):
        server = self.serve(env={"DOUGONG_MODELS_HUB_TOKEN": "hunter2"})
        status, body = server.get("/admin/v1/system")
        self.assertEqual(status, 200)
        self.assertNotIn("hunter2", body)
        self.assertEqual(json.loads(body)["config"]["models"]["model"], "smoke")

    def test_sigterm_and_ctrl_c_end_it_well(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.serve()
            server.process.send_signal(number)
            self.assertEqual(server.wait(), 0)

    def test_a_running_stream_is_finished_before_the_end(self):
        server = self.serve()
        stream = server.start_stream(max_tokens=400)
        self.assertEqual(stream.status, 200)
        first = stream.readline()
        server.terminate()
        rest = stream.read().decode()
        self.assertTrue(first)
        self.assertTrue(rest.rstrip().endswith("data: [DONE]"), rest[-300:])
        self.assertEqual(server.wait(), 0)

    def test_a_second_signal_ends_it_at_once(self):
        server = self.serve("--server.drain_timeout_s", "600")
        # A client that has begun a request and never ends it keeps the drain waiting.
        with socket.create_connection(("127.0.0.1", server.port)) as held:
            held.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            self.assertEqual(server.get("/healthz")[0], 200)
            server.terminate()
            for line in server.process.stderr:
                if "draining" in line:
                    break
            if server.process.poll() is None:
                server.terminate()
            self.assertIn(server.wait(), (0, 128 + signal.SIGTERM))

    def test_kill_9_leaves_nothing_in_the_way_of_a_restart(self):
        server = self.serve()
        stream = server.start_stream(max_tokens=400)
        self.assertTrue(stream.readline())
        port = server.port
        server.process.kill()
        server.wait()
        again = Server(self, [DOUGONG, "serve", "--model", "smoke", "--port", str(port)],
                       self.environment())
        self.addCleanup(again.kill)
        self.assertEqual(again.port, port)
        self.assertEqual(again.get("/readyz")[0], 200)

    def test_a_busy_port_is_named_with_what_to_do(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            done = self.run_program("serve", "--model", "smoke", "--port", str(port))
        self.assertEqual(done.returncode, 73, done.stderr)
        self.assertIn(str(port), done.stderr)
        self.assertIn("--port 0", done.stderr)

    def test_a_model_that_cannot_be_opened_ends_the_server(self):
        done = self.run_program("serve", "--port", "0", "--model", "no-such-model")
        self.assertEqual(done.returncode, 66, done.stderr)
        self.assertIn("no-such-model", done.stderr)

    def test_without_the_default_model_offline_the_smoke_model_serves_labelled(self):
        server = Server(self, [DOUGONG, "serve", "--port", "0", "--offline"], self.environment())
        self.addCleanup(server.kill)
        self.assertIn("smoke-test", "\n".join(server.announced))
        self.assertEqual(server.get("/readyz")[0], 200)

    def test_systemd_is_told_when_it_is_ready_and_when_it_stops(self):
        path = os.path.join(self.home, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(path)
            listener.settimeout(PATIENCE_S)
            server = self.serve(env={"NOTIFY_SOCKET": path})
            self.assertIn(b"READY=1", listener.recv(4096))
            server.terminate()
            self.assertIn(b"STOPPING=1", listener.recv(4096))
            self.assertEqual(server.wait(), 0)

    def test_the_log_can_go_to_a_file_as_json(self):
        path = os.path.join(self.home, "log.jsonl")
        server = self.serve("--log.file", path, "--log.format", "json")
        server.get("/v1/models")
        server.terminate()
        self.assertEqual(server.wait(), 0)
        with open(path, encoding="utf-8") as file:
            messages = [json.loads(line)["message"] for line in file]
        self.assertIn("serving", messages)
        self.assertEqual(messages[-1], "stopped")

    def test_a_second_model_answers_embeddings(self):
        source = os.path.abspath(os.path.join(os.path.dirname(__file__),
                                              "../../../assets/stories260K-f16.gguf"))
        server = self.serve("--embedder", source)
        names = [m["id"] for m in json.loads(server.get("/v1/models")[1])["data"]]
        self.assertEqual(len(names), 2)
        connection = server.connect()
        connection.request("POST", "/v1/embeddings", json.dumps({"model": names[1], "input": "hello"}),
                           {"content-type": "application/json"})
        response = connection.getresponse()
        body = json.loads(response.read())
        connection.close()
        self.assertEqual(response.status, 200, body)
        self.assertGreater(len(body["data"][0]["embedding"]), 0)


class DefaultModel(ProgramTest):
    """With the real default model, when this machine has it."""

    def test_it_answers_a_question_in_english(self):
        model = os.environ.get("DOUGONG_TEST_MODEL")
        if not model:
            self.skipTest("the default model is not on this machine: dougong models pull")
        done = subprocess.run([DOUGONG, "run", "--model", model, "--temperature", "0", "-n", "40",
                               "Why is the sky blue?"], capture_output=True, text=True,
                              timeout=5 * PATIENCE_S, env=self.environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Rayleigh", done.stdout)


if __name__ == "__main__":
    unittest.main()
