"""One streamed answer with the official client. Needs `pip install openai`."""
import os

from openai import OpenAI

client = OpenAI(base_url=os.environ.get("DOUGONG_URL", "http://127.0.0.1:8080") + "/v1", api_key="none")
model = client.models.list().data[0].id
stream = client.chat.completions.create(
    model=model, stream=True, max_tokens=120,
    messages=[{"role": "user", "content": "Name three rivers in France."}])
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
