"""Which sentence is nearest to a question. Needs `pip install openai`."""
import os

from openai import OpenAI

client = OpenAI(base_url=os.environ.get("DOUGONG_URL", "http://127.0.0.1:8080") + "/v1", api_key="none")
model = client.models.list().data[-1].id  # the embedder, when the server was given one
sentences = ["The cat sleeps on the sofa.", "Interest rates rose again.", "A kitten naps on a couch."]
question = "Where is the cat?"
vectors = [item.embedding for item in client.embeddings.create(model=model, input=[question, *sentences]).data]
for sentence, vector in zip(sentences, vectors[1:]):
    print(f"{sum(a * b for a, b in zip(vectors[0], vector)):.3f}  {sentence}")
