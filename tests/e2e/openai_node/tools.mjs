// Tools, structured output, responses and resumable streams with the official Node client. Works
// with any model: calls and formats are enforced, and nothing depends on the words.
// Imported by openai_test.mjs; alone: node tools.mjs http://127.0.0.1:8080
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

const root = process.argv[2];
if (!root) {
  console.error('usage: node tools.mjs BASE_URL');
  process.exit(64);
}
const client = new OpenAI({ baseURL: `${root}/v1`, apiKey: 'none', maxRetries: 0 });
const cards = (await (await fetch(`${root}/admin/v1/models`)).json()).models;
const model = cards.find((card) => card.generates)?.id;
const scripted = model?.startsWith('fake/');
const ranker = cards.find((card) => card.embeds)?.id;

const parameters = {
  type: 'object',
  properties: { city: { type: 'string', enum: ['Paris', 'Rome'] }, metric: { type: 'boolean' } },
  required: ['city', 'metric'],
  additionalProperties: false,
};
const weather = { type: 'function', function: { name: 'get_weather', parameters, strict: true } };
const clock = { type: 'function', function: { name: 'get_time', parameters: { type: 'object', properties: {}, additionalProperties: false }, strict: true } };
// The scripted model repeats this; a real one is held to the schema.
const json = '{"city":"Paris","metric":true}';
const messages = [{ role: 'user', content: json }];
const ask = { model, messages, temperature: 0, max_tokens: 200 };

/// The arguments of a real model's call obey the schema; the scripted one's are its own.
const checkArguments = (text) => {
  const value = JSON.parse(text);
  if (scripted) return;
  assert.ok(['Paris', 'Rome'].includes(value.city), text);
  assert.equal(typeof value.metric, 'boolean');
  assert.equal(Object.keys(value).length, 2);
};

test('a required call names an offered tool and its arguments parse', async () => {
  const { choices } = await client.chat.completions.create({
    ...ask, tools: [weather], tool_choice: 'required', parallel_tool_calls: false });
  const [call] = choices[0].message.tool_calls;
  assert.equal(choices[0].finish_reason, 'tool_calls');
  assert.equal(call.type, 'function');
  assert.equal(call.function.name, 'get_weather');
  assert.ok(call.id.length > 0);
  checkArguments(call.function.arguments);
});

test('a named call is that tool', async () => {
  const { choices } = await client.chat.completions.create({
    ...ask, tools: [weather, clock], tool_choice: { type: 'function', function: { name: 'get_time' } } });
  assert.equal(choices[0].message.tool_calls[0].function.name, 'get_time');
});

test('tool_choice none gives text', async () => {
  const { choices } = await client.chat.completions.create({
    ...ask, max_tokens: 8, tools: [weather], tool_choice: 'none' });
  assert.equal(choices[0].message.tool_calls, undefined);
  assert.ok(choices[0].message.content.length > 0);
});

test('streamed calls are the whole ones', async () => {
  const more = { tools: [weather], tool_choice: 'required', parallel_tool_calls: false };
  const whole = await client.chat.completions.create({ ...ask, ...more });
  const streamed = await client.chat.completions.stream({ ...ask, ...more }).finalChatCompletion();
  const [a, b] = [whole, streamed].map((answer) => answer.choices[0].message.tool_calls);
  assert.equal(b.length, 1);
  assert.equal(b[0].function.name, a[0].function.name);
  assert.equal(b[0].function.arguments, a[0].function.arguments);
  assert.equal(streamed.choices[0].finish_reason, 'tool_calls');
});

test('parallel calls', { skip: !scripted }, async () => {
  const { choices } = await client.chat.completions.create({
    ...ask, messages: [{ role: 'user', content: `calls get_weather ${json}` }], tools: [weather] });
  assert.equal(choices[0].message.tool_calls.length, 2);
  const one = await client.chat.completions.create({
    ...ask, messages: [{ role: 'user', content: `calls get_weather ${json}` }], tools: [weather],
    parallel_tool_calls: false });
  assert.equal(one.choices[0].message.tool_calls.length, 1);
});

test('runTools calls the function and goes on', async () => {
  let seen = 0;
  const runner = client.chat.completions.runTools({
    ...ask,
    messages: [{ role: 'user', content: scripted ? `call get_weather ${json}` : json }],
    tool_choice: scripted ? 'auto' : { type: 'function', function: { name: 'get_weather' } },
    tools: [{ type: 'function', function: {
      name: 'get_weather', parameters, parse: JSON.parse,
      function: () => { ++seen; return 'sunny'; } } }],
  });
  await runner.done();
  assert.equal(seen, 1);
  if (scripted) assert.equal(await runner.finalContent(), 'You said: sunny');
});

test('the conversation with a tool goes on', async () => {
  const { choices } = await client.chat.completions.create({
    ...ask, tools: [weather], tool_choice: 'required', parallel_tool_calls: false });
  const call = choices[0].message.tool_calls[0];
  const after = await client.chat.completions.create({
    ...ask, max_tokens: 16, tools: [weather], tool_choice: 'none',
    messages: [...messages, choices[0].message, { role: 'tool', tool_call_id: call.id, content: 'sunny' }] });
  assert.ok(after.choices[0].message.content.length > 0);
  await assert.rejects(client.chat.completions.create({
    ...ask, messages: [...messages, { role: 'tool', tool_call_id: 'other', content: 'x' }] }),
    (error) => error instanceof OpenAI.BadRequestError && error.param === 'messages[1].tool_call_id');
});

const Place = z.object({ city: z.enum(['Paris', 'Rome']), metric: z.boolean() });

test('parse with a zod schema', async () => {
  const answer = await client.chat.completions.parse({
    ...ask, response_format: zodResponseFormat(Place, 'place') });
  assert.ok(Place.safeParse(answer.choices[0].message.parsed).success);
});

test('json_object is an object', async () => {
  const { choices } = await client.chat.completions.create({
    ...ask, response_format: { type: 'json_object' } });
  if (choices[0].finish_reason === 'stop') {
    assert.equal(typeof JSON.parse(choices[0].message.content), 'object');
  }
});

test('guided_choice, an extension', { skip: scripted }, async () => {
  const { choices } = await client.chat.completions.create({ ...ask, guided_choice: ['yes', 'no'] });
  assert.ok(['yes', 'no'].includes(choices[0].message.content));
});

test('errors of tools name the place', async () => {
  const fault = async (more, param) => assert.rejects(
    client.chat.completions.create({ ...ask, ...more }),
    (error) => error instanceof OpenAI.BadRequestError && error.param === param);
  await fault({ tools: [weather, weather] }, 'tools[1].function.name');
  await fault({ tools: [{ type: 'function', function: { name: 'a b' } }] }, 'tools[0].function.name');
  await fault({ tool_choice: 'required' }, 'tool_choice');
  await fault({ tools: [weather], tool_choice: { type: 'function', function: { name: 'x' } } },
    'tool_choice.function.name');
});

const respond = { model, input: json, temperature: 0, max_output_tokens: 200 };

test('a response, stored, continued and deleted', async () => {
  const first = await client.responses.create({ ...respond, max_output_tokens: 12 });
  assert.match(first.id, /^resp_/);
  assert.ok(first.output_text.length > 0);
  assert.equal(first.usage.total_tokens, first.usage.input_tokens + first.usage.output_tokens);
  const stored = await client.responses.retrieve(first.id);
  assert.equal(stored.output_text, first.output_text);
  const items = [];
  for await (const item of client.responses.inputItems.list(first.id)) items.push(item);
  assert.equal(items[0].content[0].text, json);
  const second = await client.responses.create({
    ...respond, max_output_tokens: 12, input: 'Again.', previous_response_id: first.id });
  assert.ok(second.usage.input_tokens > 0);
  assert.equal(second.previous_response_id, first.id);
  await client.responses.delete(first.id);
  await assert.rejects(client.responses.retrieve(first.id), OpenAI.NotFoundError);
});

test('a streamed response assembles to the whole one', async () => {
  const whole = await client.responses.create({ ...respond, max_output_tokens: 12 });
  const stream = client.responses.stream({ ...respond, max_output_tokens: 12 });
  let text = '';
  for await (const event of stream) if (event.type === 'response.output_text.delta') text += event.delta;
  const final = await stream.finalResponse();
  assert.equal(final.output_text, whole.output_text);
  assert.equal(text, whole.output_text);
});

test('a response calls a function and takes its output', async () => {
  const tools = [{ type: 'function', name: 'get_weather', parameters, strict: true }];
  const first = await client.responses.create({
    ...respond, tools, tool_choice: 'required', parallel_tool_calls: false });
  const call = first.output.find((item) => item.type === 'function_call');
  assert.equal(call.name, 'get_weather');
  checkArguments(call.arguments);
  const second = await client.responses.create({
    ...respond, max_output_tokens: 12, tools, tool_choice: 'none', previous_response_id: first.id,
    input: [{ type: 'function_call_output', call_id: call.call_id, output: 'sunny' }] });
  assert.ok(second.output_text.length > 0);
});

test('responses.parse with a zod schema', async () => {
  const response = await client.responses.parse({
    ...respond, text: { format: zodTextFormat(Place, 'place') } });
  assert.ok(Place.safeParse(response.output_parsed).success);
});

test('a background response is polled and cancelled', async () => {
  let response = await client.responses.create({ ...respond, max_output_tokens: 8, background: true });
  const giveUp = Date.now() + 60_000;  // a bound for a loaded machine, not an expectation
  while (['queued', 'in_progress'].includes(response.status) && Date.now() < giveUp) {
    response = await client.responses.retrieve(response.id);
  }
  assert.ok(['completed', 'incomplete'].includes(response.status), response.status);
  const endless = await client.responses.create({
    ...respond, max_output_tokens: 1500, ignore_eos: true, background: true });
  assert.equal((await client.responses.cancel(endless.id)).status, 'cancelled');
});

test('a background stream is read on where it was left', async () => {
  const stream = await client.responses.create({
    ...respond, max_output_tokens: 40, background: true, stream: true });
  let id, last, text = '', final;
  const take = (event) => {
    id ??= event.response?.id;
    last = event.sequence_number;
    if (event.type === 'response.output_text.delta') text += event.delta;
    if (event.type.match(/completed|incomplete/)) final = event.response;
  };
  for await (const event of stream) {
    take(event);
    if (last === 3) break;  // the client closes the connection
  }
  while (!final) {
    const rest = await client.responses.retrieve(id, { stream: true, starting_after: last });
    for await (const event of rest) take(event);
  }
  assert.equal(text, final.output.flatMap((item) => item.content ?? []).map((part) => part.text).join(''));
});

test('rerank orders the documents', { skip: !ranker }, async () => {
  const documents = ['A cat sat on the mat.', 'Stock prices fell.', 'Cats sleep a lot.'];
  const answer = await client.post('/rerank', {
    body: { model: ranker, query: 'What do cats do?', documents, return_documents: true } });
  assert.equal(answer.results.length, 3);
  const scores = answer.results.map((result) => result.relevance_score);
  assert.deepEqual(scores, [...scores].sort((a, b) => b - a));
  for (const result of answer.results) assert.equal(result.document.text, documents[result.index]);
});
