// One streamed answer with the official client. Needs `npm install openai`.
import OpenAI from "openai";

const url = process.env.DOUGONG_URL ?? "http://127.0.0.1:8080";
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const model = (await client.models.list()).data[0].id;
const stream = await client.chat.completions.create({
  model,
  stream: true,
  max_tokens: 120,
  messages: [{ role: "user", content: "Name three rivers in France." }],
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
console.log();
