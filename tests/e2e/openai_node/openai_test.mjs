// The official Node client against a running server. Works with any model: nothing here depends on
// what it says. Usage: node openai_test.mjs http://127.0.0.1:8080
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';

const root = process.argv[2];
if (!root) {
  console.error('usage: node openai_test.mjs BASE_URL');
  process.exit(64);
}
const client = new OpenAI({ baseURL: `${root}/v1`, apiKey: 'none', maxRetries: 0 });
const admin = async (path) => (await fetch(`${root}/admin/v1/${path}`)).json();
const cards = (await admin('models')).models;
const model = cards.find((card) => card.generates)?.id;
const embedder = cards.find((card) => card.embeds);
const messages = [{ role: 'user', content: 'Count from one to twenty in words.' }];
const greedy = { model, messages, temperature: 0, max_tokens: 24 };
const answer = async (more = {}) => client.chat.completions.create({ ...greedy, ...more });

test('models are listed and retrieved', async () => {
  const ids = (await client.models.list()).data.map((card) => card.id);
  assert.ok(ids.includes(model));
  assert.equal((await client.models.retrieve(model)).id, model);
});

test('chat answers with usage', async () => {
  const { data, response } = await client.chat.completions.create(greedy).withResponse();
  assert.match(data.id, /^chatcmpl-/);
  assert.equal(data.object, 'chat.completion');
  assert.equal(data.model, model);
  assert.equal(data.choices[0].message.role, 'assistant');
  assert.ok(data.choices[0].message.content.length > 0);
  const { prompt_tokens, completion_tokens, total_tokens } = data.usage;
  assert.ok(prompt_tokens > 0 && completion_tokens > 0 && completion_tokens <= 24);
  assert.equal(total_tokens, prompt_tokens + completion_tokens);
  assert.equal(typeof data.usage.prompt_tokens_details.cached_tokens, 'number');
  assert.ok(response.headers.get('x-request-id'));
});

test('a stream carries the same text, and usage when asked', async () => {
  const whole = await answer();
  const stream = await answer({ stream: true, stream_options: { include_usage: true } });
  let text = '', role, finish, usage;
  for await (const chunk of stream) {
    assert.equal(chunk.object, 'chat.completion.chunk');
    const choice = chunk.choices[0];
    role ??= choice?.delta.role;
    text += choice?.delta.content ?? '';
    finish = choice?.finish_reason ?? finish;
    usage = chunk.usage ?? usage;
  }
  assert.equal(role, 'assistant');
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(finish, whole.choices[0].finish_reason);
  assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
});

test('the stream helper assembles the message', async () => {
  const helper = client.chat.completions.stream({ ...greedy });
  const final = await helper.finalChatCompletion();
  assert.equal(final.choices[0].message.content, (await answer()).choices[0].message.content);
});

test('n gives that many choices', async () => {
  const { choices } = await answer({ n: 3, temperature: 1, seed: 7 });
  assert.deepEqual(choices.map((choice) => choice.index), [0, 1, 2]);
});

test('max_tokens ends with length', async () => {
  const short = await answer({ max_tokens: 2 });
  assert.equal(short.choices[0].finish_reason, 'length');
  assert.equal(short.usage.completion_tokens, 2);
  assert.equal((await answer({ max_tokens: undefined, max_completion_tokens: 3 }))
    .usage.completion_tokens, 3);
});

test('stop cuts the answer before the string', async () => {
  const text = (await answer()).choices[0].message.content;
  const stop = text.slice(5, 8);
  const cut = await answer({ stop: [stop] });
  assert.equal(cut.choices[0].message.content, text.slice(0, text.indexOf(stop)));
  assert.equal(cut.choices[0].finish_reason, 'stop');
});

test('the same seed gives the same answer', async () => {
  const sampled = () => answer({ temperature: 1, seed: 42 });
  const [a, b] = [await sampled(), await sampled()];
  assert.equal(a.choices[0].message.content, b.choices[0].message.content);
});

test('logprobs of chat', async () => {
  const { choices } = await answer({ max_tokens: 3, logprobs: true, top_logprobs: 2 });
  const tokens = choices[0].logprobs.content;
  assert.equal(tokens.length, 3);
  for (const token of tokens) {
    assert.ok(token.logprob <= 0);
    assert.equal(token.top_logprobs.length, 2);
    assert.ok(token.bytes.every((byte) => byte >= 0 && byte < 256));
  }
});

const bytesOf = (tokens) => Buffer.from(tokens.flatMap((token) => token.bytes)).toString();

test('logprobs stand beside the content alone, whole and streamed', async () => {
  const whole = (await answer({ logprobs: true })).choices[0];
  assert.equal(bytesOf(whole.logprobs.content).trim(), whole.message.content.trim());
  const stream = await answer({ logprobs: true, stream: true });
  const tokens = [];
  for await (const chunk of stream) tokens.push(...(chunk.choices[0]?.logprobs?.content ?? []));
  assert.equal(bytesOf(tokens), bytesOf(whole.logprobs.content));
  const called = (await answer({
    max_tokens: 200, logprobs: true, tool_choice: 'required', tools: [{ type: 'function', function: {
      name: 'now', parameters: { type: 'object', properties: {}, additionalProperties: false } } }],
  })).choices[0];
  assert.equal(called.message.tool_calls[0].function.name, 'now');
  assert.deepEqual(called.logprobs?.content ?? [], []);
});

test('a conversation over the context is refused or shortened', { skip: model.startsWith('fake/') },
  async () => {
    const context = cards.find((card) => card.id === model).context_tokens;
    const turns = [{ role: 'system', content: 'Count.' }];
    for (let i = 0; i < context / 8; ++i) {
      turns.push({ role: 'user', content: 'one two three four five six' },
        { role: 'assistant', content: 'seven' });
    }
    turns.push({ role: 'user', content: 'Once upon a time' });
    await assert.rejects(answer({ messages: turns }),
      (error) => error.status === 400 && error.code === 'context_length_exceeded');
    const short = { messages: turns, max_tokens: 4, context_overflow: 'shift' };
    const first = await answer(short);
    assert.ok(first.timings.context_dropped_tokens > 0);
    assert.ok(first.usage.prompt_tokens < context);
    const again = await answer(short);
    assert.equal(again.choices[0].message.content, first.choices[0].message.content);
    const ask = { model, input: turns, temperature: 0, max_output_tokens: 4, store: false };
    for (const truncation of ['disabled', undefined]) {
      await assert.rejects(client.responses.create({ ...ask, truncation }),
        (error) => error.status === 400 && error.code === 'context_length_exceeded');
    }
    const response = await client.responses.create({ ...ask, truncation: 'auto' });
    assert.equal(response.truncation, 'auto');
    assert.equal(response.usage.input_tokens, first.usage.prompt_tokens);
  });

test('an answer goes on when the context is full', { skip: model.startsWith('fake/') }, async () => {
  const context = cards.find((card) => card.id === model).context_tokens;
  const words = (n) => ({ messages: [{ role: 'user', content: 'one '.repeat(n) }], ignore_eos: true });
  const tokens = async (n) => (await answer({ ...words(n), max_tokens: 1 })).usage.prompt_tokens;
  const [few, more] = [await tokens(10), await tokens(20)];
  const ask = words(10 + Math.floor((context - 30 - few) / ((more - few) / 10)));
  const cut = await answer({ ...ask, max_tokens: 80 });
  assert.equal(cut.usage.total_tokens, context);
  assert.equal(cut.choices[0].finish_reason, 'length');
  assert.ok(cut.usage.completion_tokens < 80);
  const whole = await answer({ ...ask, max_tokens: 80, context_overflow: 'shift' });
  assert.equal(whole.usage.completion_tokens, 80);
  assert.ok(whole.timings.context_dropped_tokens > 0);
  assert.ok(whole.choices[0].message.content.startsWith(cut.choices[0].message.content));
});

test('completions take text, several prompts, and stream', async () => {
  const ask = { model, temperature: 0, max_tokens: 6 };
  const whole = await client.completions.create({ ...ask, prompt: ['Once upon a time', 'One'] });
  assert.equal(whole.object, 'text_completion');
  assert.equal(whole.choices.length, 2);
  let text = '';
  const stream = await client.completions.create({ ...ask, prompt: 'Once upon a time', stream: true });
  for await (const chunk of stream) text += chunk.choices[0]?.text ?? '';
  assert.equal(text, whole.choices[0].text);
  const echoed = await client.completions.create({ ...ask, prompt: 'Once upon a time', echo: true });
  assert.equal(echoed.choices[0].text, `Once upon a time${text}`);
  const scored = await client.completions.create({
    ...ask, prompt: 'Once upon a time', max_tokens: 2, logprobs: 1 });
  assert.equal(scored.choices[0].logprobs.tokens.length, 2);
});

test('embeddings as base64 and as numbers agree', { skip: !embedder }, async () => {
  const ask = { model: embedder?.id, input: ['first text', 'a second one'] };
  const packed = await client.embeddings.create(ask);  // the client asks for base64 by itself
  const plain = await client.embeddings.create({ ...ask, encoding_format: 'float' });
  assert.equal(packed.data.length, 2);
  for (const [i, item] of packed.data.entries()) {
    assert.equal(item.embedding.length, embedder.embedding_dim);
    item.embedding.forEach((x, k) => assert.ok(Math.abs(x - plain.data[i].embedding[k]) < 1e-6));
  }
  assert.ok(packed.usage.total_tokens > 0);
  const short = await client.embeddings.create({ ...ask, input: 'first text', dimensions: 4 });
  const norm = Math.hypot(...short.data[0].embedding);
  assert.equal(short.data[0].embedding.length, 4);
  assert.ok(Math.abs(norm - 1) < 1e-4, `norm is ${norm}`);
});

test('errors have their classes, codes and fields', async () => {
  await assert.rejects(answer({ model: 'no-such-model' }), (error) =>
    error instanceof OpenAI.NotFoundError && error.code === 'model_not_found' &&
    error.message.includes(model));
  await assert.rejects(answer({ temperature: 9 }), (error) =>
    error instanceof OpenAI.BadRequestError && error.param === 'temperature');
  await assert.rejects(answer({ nonsense: 1 }), (error) =>
    error instanceof OpenAI.BadRequestError && error.code === 'unknown_parameter');
  await assert.rejects(answer({ messages: [{ role: 'user', content: [
    { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } }] }] }),
    (error) => error instanceof OpenAI.BadRequestError && error.param === 'messages[0].content[0]');
  await assert.rejects(answer({ response_format: { type: 'yaml' } }), (error) =>
    error instanceof OpenAI.BadRequestError && error.param === 'response_format.type');
});

test('scripted errors', { skip: !model?.startsWith('fake/') }, async () => {
  const say = (content, more) => answer({ messages: [{ role: 'user', content }], ...more });
  await assert.rejects(say('full'), OpenAI.RateLimitError);
  await assert.rejects(say('fail'), OpenAI.InternalServerError);
  await assert.rejects(say('toolong'), (error) =>
    error instanceof OpenAI.BadRequestError && error.code === 'context_length_exceeded');
  await assert.rejects(async () => {
    for await (const chunk of await say('late', { stream: true })) assert.ok(chunk);
  }, OpenAI.APIError);
});

test('leaving a stream cancels the generation', async () => {
  const { data: stream, response } = await client.chat.completions
    .create({ ...greedy, max_tokens: 1500, ignore_eos: true, stream: true }).withResponse();
  let seen = 0;
  for await (const chunk of stream) {
    assert.ok(chunk);
    if (++seen === 3) break;  // the client closes the connection
  }
  const id = response.headers.get('x-request-id');
  let record;
  const giveUp = Date.now() + 60_000;  // a bound for a loaded machine, not an expectation
  while (record?.finish === undefined && Date.now() < giveUp) {
    record = await admin(`requests/${id}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.equal(record.finish, 'cancelled');
  assert.ok(record.completion_tokens < 1500, `${record.completion_tokens} tokens`);
});

await import('./tools.mjs');
