"""A model that says what a test wrote down, behind the API that models have: chat completions,
streamed. Everything else that a test sees is the program's own."""
import http.server
import json
import threading


def call(name, arguments, id=None):
    return {"id": id or f"call_{name}", "name": name, "arguments": json.dumps(arguments)}


def final(answer):
    return [call("final_answer", {"answer": answer})]


class ScriptedModel:
    """`script(messages)` gives the calls of the next answer, or its text. It sees the whole
    conversation, so that the same question has the same answer, also after a crash."""

    def __init__(self, test, script, before_answer=None):
        self.asked = []
        self.lock = threading.Lock()
        model = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with model.lock:
                    model.asked.append(body)
                    number = len(model.asked)
                if before_answer:
                    before_answer(number)
                said = script(body["messages"])
                delta = {"role": "assistant"}
                if isinstance(said, str):
                    delta["content"] = said
                else:
                    delta["tool_calls"] = [
                        {"index": i, "id": one["id"], "type": "function",
                         "function": {"name": one["name"], "arguments": one["arguments"]}}
                        for i, one in enumerate(said)]
                prompt = len(json.dumps(body["messages"])) // 4
                chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}]},
                          {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": 10,
                                                    "total_tokens": prompt + 10}}]
                text = "".join(f"data: {json.dumps(one)}\n\n" for one in chunks) + "data: [DONE]\n\n"
                try:
                    self.send_response(200)
                    self.send_header("content-type", "text/event-stream")
                    self.send_header("content-length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text.encode())
                except (BrokenPipeError, ConnectionResetError):
                    pass  # who asked was killed

        class Listener(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # who asked was killed

        self.server = Listener(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        thread.start()
        test.addCleanup(self.server.server_close)
        test.addCleanup(self.server.shutdown)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"


def results(messages):
    """What the tools gave, by the ids of their calls."""
    return {one["tool_call_id"]: json.loads(one["content"])
            for one in messages if one["role"] == "tool"}
