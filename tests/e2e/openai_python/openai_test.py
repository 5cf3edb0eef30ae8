"""The official Python client against a running server. Works with any model: nothing here depends
on what it says. Usage: python openai_test.py http://127.0.0.1:8080"""

import asyncio
import json
import math
import sys
import time
import typing
import unittest
import urllib.error
import urllib.request

import openai
import pydantic

ROOT = ""


def admin(path):
    with urllib.request.urlopen(f"{ROOT}/admin/v1/{path}", timeout=30) as answer:
        return json.load(answer)


class Place(pydantic.BaseModel):
    city: typing.Literal["Paris", "Rome"]
    metric: bool


WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]},
                   "metric": {"type": "boolean"}},
    "required": ["city", "metric"],
    "additionalProperties": False,
}
PLACE = '{"city":"Paris","metric":true}'  # the scripted model repeats it


class OpenAiClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = openai.OpenAI(base_url=f"{ROOT}/v1", api_key="none", max_retries=0)
        cards = admin("models")["models"]
        cls.model = next(card["id"] for card in cards if card["generates"])
        cls.embedder = next((card for card in cards if card["embeds"]), None)
        cls.greedy = {
            "model": cls.model,
            "messages": [{"role": "user", "content": "Count from one to twenty in words."}],
            "temperature": 0,
            "max_tokens": 24,
        }

    def answer(self, **more):
        return self.client.chat.completions.create(**{**self.greedy, **more})

    def test_models(self):
        self.assertIn(self.model, [card.id for card in self.client.models.list()])
        self.assertEqual(self.client.models.retrieve(self.model).id, self.model)

    def test_chat_and_usage(self):
        whole = self.answer()
        self.assertTrue(whole.id.startswith("chatcmpl-"))
        self.assertEqual(whole.choices[0].message.role, "assistant")
        self.assertTrue(whole.choices[0].message.content)
        usage = whole.usage
        self.assertGreater(usage.prompt_tokens, 0)
        self.assertEqual(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
        self.assertIsInstance(usage.prompt_tokens_details.cached_tokens, int)

    def test_stream_and_usage(self):
        text, finish, usage = "", None, None
        for chunk in self.answer(stream=True, stream_options={"include_usage": True}):
            if chunk.choices:
                text += chunk.choices[0].delta.content or ""
                finish = chunk.choices[0].finish_reason or finish
            usage = chunk.usage or usage
        whole = self.answer()
        self.assertEqual(text, whole.choices[0].message.content)
        self.assertEqual(finish, whole.choices[0].finish_reason)
        self.assertEqual(usage.completion_tokens, whole.usage.completion_tokens)

    def test_n_stop_and_length(self):
        self.assertEqual([c.index for c in self.answer(n=2, temperature=1, seed=1).choices], [0, 1])
        short = self.answer(max_tokens=2)
        self.assertEqual(short.choices[0].finish_reason, "length")
        self.assertEqual(short.usage.completion_tokens, 2)
        text = self.answer().choices[0].message.content
        stop = text[5:8]
        cut = self.answer(stop=stop).choices[0]
        self.assertEqual(cut.message.content, text[: text.index(stop)])
        self.assertEqual(cut.finish_reason, "stop")

    def test_logprobs(self):
        tokens = self.answer(max_tokens=3, logprobs=True, top_logprobs=2).choices[0].logprobs.content
        self.assertEqual(len(tokens), 3)
        for token in tokens:
            self.assertLessEqual(token.logprob, 0)
            self.assertEqual(len(token.top_logprobs), 2)
        scored = self.client.completions.create(
            model=self.model, prompt="Once upon a time", max_tokens=2, temperature=0, logprobs=1)
        self.assertEqual(len(scored.choices[0].logprobs.token_logprobs), 2)

    def test_logprobs_are_of_the_content(self):
        whole = self.answer(logprobs=True).choices[0]
        text = bytes(b for token in whole.logprobs.content for b in token.bytes).decode()
        self.assertEqual(text.strip(), whole.message.content.strip())
        parts = self.answer(logprobs=True, stream=True)
        tokens = [token for part in parts if part.choices and part.choices[0].logprobs
                  for token in part.choices[0].logprobs.content]
        self.assertEqual(bytes(b for token in tokens for b in token.bytes).decode(), text)

    def test_truncation(self):
        if self.model.startswith("fake/"):
            self.skipTest("the scripted model has no context")
        context = next(card["context_tokens"] for card in admin("models")["models"]
                       if card["id"] == self.model)
        turns = [{"role": "system", "content": "Count."}]
        for _ in range(context // 8):
            turns += [{"role": "user", "content": "one two three four five six"},
                      {"role": "assistant", "content": "seven"}]
        turns.append({"role": "user", "content": "Once upon a time"})
        ask = {"model": self.model, "input": turns, "temperature": 0, "max_output_tokens": 4}
        with self.assertRaises(openai.BadRequestError) as refused:
            self.client.responses.create(truncation="disabled", **ask)
        self.assertEqual(refused.exception.code, "context_length_exceeded")
        response = self.client.responses.create(truncation="auto", **ask)
        self.assertLess(response.usage.input_tokens, context)
        chat = self.answer(messages=turns, max_tokens=4, extra_body={"context_overflow": "shift"})
        self.assertEqual(chat.usage.prompt_tokens, response.usage.input_tokens)
        self.assertGreater(chat.model_extra["timings"]["context_dropped_tokens"], 0)

    def test_completions(self):
        ask = {"model": self.model, "temperature": 0, "max_tokens": 6}
        whole = self.client.completions.create(prompt=["Once upon a time", "One"], **ask)
        self.assertEqual(len(whole.choices), 2)
        parts = self.client.completions.create(prompt="Once upon a time", stream=True, **ask)
        text = "".join(part.choices[0].text for part in parts if part.choices)
        self.assertEqual(text, whole.choices[0].text)

    def test_extensions(self):
        answer = self.answer(extra_body={"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.1})
        self.assertTrue(answer.choices[0].message.content)
        self.assertIn("ttft_ms", answer.model_extra["timings"])

    def ask(self, **more):
        return {"model": self.model, "messages": [{"role": "user", "content": PLACE}],
                "temperature": 0, "max_tokens": 200, **more}

    def check_arguments(self, text):
        value = json.loads(text)
        if not self.model.startswith("fake/"):
            Place.model_validate(value)

    def test_tools(self):
        tool = {"type": "function",
                "function": {"name": "get_weather", "parameters": WEATHER, "strict": True}}
        more = {"tools": [tool], "tool_choice": "required", "parallel_tool_calls": False}
        whole = self.client.chat.completions.create(**self.ask(**more)).choices[0]
        self.assertEqual(whole.finish_reason, "tool_calls")
        call = whole.message.tool_calls[0]
        self.assertEqual(call.function.name, "get_weather")
        self.check_arguments(call.function.arguments)
        with self.client.chat.completions.stream(**self.ask(**more)) as stream:
            for _ in stream:
                pass
            final = stream.get_final_completion().choices[0].message.tool_calls[0]
        self.assertEqual(final.function.arguments, call.function.arguments)
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.chat.completions.create(**self.ask(tools=[tool, tool]))
        self.assertEqual(caught.exception.param, "tools[1].function.name")

    def test_parse(self):
        answer = self.client.chat.completions.parse(**self.ask(response_format=Place))
        self.assertIsInstance(answer.choices[0].message.parsed, Place)

    def test_responses(self):
        ask = {"model": self.model, "input": PLACE, "temperature": 0, "max_output_tokens": 12}
        whole = self.client.responses.create(**ask)
        self.assertTrue(whole.output_text)
        # The helper knows complete responses only, so the answer is a short one.
        with self.client.responses.stream(**{**ask, "max_output_tokens": 200},
                                          extra_body={"guided_choice": [PLACE]}) as stream:
            text = "".join(event.delta for event in stream
                           if event.type == "response.output_text.delta")
            self.assertEqual(stream.get_final_response().output_text, PLACE)
        self.assertEqual(text, PLACE)
        after = self.client.responses.create(**{**ask, "input": "Again."},
                                             previous_response_id=whole.id)
        self.assertEqual(after.previous_response_id, whole.id)
        self.assertEqual(self.client.responses.retrieve(whole.id).output_text, whole.output_text)
        self.client.responses.delete(whole.id)
        with self.assertRaises(openai.NotFoundError):
            self.client.responses.retrieve(whole.id)
        parsed = self.client.responses.parse(**{**ask, "max_output_tokens": 200},
                                             text_format=Place)
        self.assertIsInstance(parsed.output_parsed, Place)

    def test_embeddings(self):
        if self.embedder is None:
            self.skipTest("no model makes embeddings")
        ask = {"model": self.embedder["id"], "input": ["first text", "a second one"]}
        packed = self.client.embeddings.create(**ask)  # the client asks for base64 by itself
        plain = self.client.embeddings.create(encoding_format="float", **ask)
        for a, b in zip(packed.data, plain.data, strict=True):
            self.assertEqual(len(a.embedding), self.embedder["embedding_dim"])
            self.assertLess(max(abs(x - y) for x, y in zip(a.embedding, b.embedding)), 1e-6)
        short = self.client.embeddings.create(dimensions=4, **ask).data[0].embedding
        self.assertAlmostEqual(math.hypot(*short), 1, places=4)

    def test_errors(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.answer(model="no-such-model")
        self.assertEqual(caught.exception.code, "model_not_found")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.answer(temperature=9)
        self.assertEqual(caught.exception.param, "temperature")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.answer(extra_body={"nonsense": 1})
        self.assertEqual(caught.exception.code, "unknown_parameter")

    def test_scripted_errors(self):
        if not self.model.startswith("fake/"):
            self.skipTest("needs the scripted server")
        with self.assertRaises(openai.RateLimitError):
            self.answer(messages=[{"role": "user", "content": "full"}])
        with self.assertRaises(openai.InternalServerError):
            self.answer(messages=[{"role": "user", "content": "fail"}])
        with self.assertRaises(openai.APIError):
            list(self.answer(messages=[{"role": "user", "content": "late"}], stream=True))

    def wait_for_record(self, request_id):
        give_up = time.monotonic() + 60  # a bound for a loaded machine, not an expectation
        while True:
            try:
                return admin(f"requests/{request_id}")
            except urllib.error.HTTPError:
                self.assertLess(time.monotonic(), give_up, f"request {request_id} never ended")
                time.sleep(0.025)

    def test_leaving_a_stream_cancels(self):
        with self.client.chat.completions.with_streaming_response.create(
            **{**self.greedy, "max_tokens": 1500}, stream=True, extra_body={"ignore_eos": True}
        ) as response:
            request_id = response.headers["x-request-id"]
            lines = response.iter_lines()
            for _ in range(3):
                next(lines)
        record = self.wait_for_record(request_id)
        self.assertEqual(record["finish"], "cancelled")
        self.assertLess(record["completion_tokens"], 1500)

    def test_many_at_once(self):
        async def run():
            async with openai.AsyncOpenAI(base_url=f"{ROOT}/v1", api_key="none") as client:
                asks = [client.chat.completions.create(**self.greedy) for _ in range(12)]
                return await asyncio.gather(*asks)

        answers = asyncio.run(run())
        self.assertTrue(all(answer.choices[0].message.content for answer in answers))
        self.assertEqual(len({answer.id for answer in answers}), 12)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python openai_test.py BASE_URL")
    ROOT = sys.argv.pop(1)
    unittest.main()
