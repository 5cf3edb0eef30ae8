// What the mock server makes up: samples of a server under a swaying load, a request log, answers.
import { setTimeout as wait } from "node:timers/promises";

const TOKEN_MS = 14;

const ANSWER = `Sunlight is a mix of all colours. Air molecules scatter **short wavelengths** far more than long ones: the strength goes with \`1/λ⁴\`, so blue light is spread over the whole sky.

1. Light enters the atmosphere.
2. Blue is scattered about 5.5 times as much as red.
3. Your eye sees blue from every direction.

\`\`\`python
def scattering(wavelength_nm: float, reference_nm: float = 550.0) -> float:
    # Rayleigh: proportional to the inverse fourth power.
    return (reference_nm / wavelength_nm) ** 4

print(round(scattering(450), 2))  # 2.23
\`\`\`

| colour | wavelength | relative |
|:-------|-----------:|---------:|
| blue   | 450 nm     | 2.23     |
| green  | 550 nm     | 1.00     |
| red    | 690 nm     | 0.40     |

> At sunset the path through the air is long, and most of the blue is gone before it reaches you.`;

const hex = (n) => Array.from({ length: n }, () => Math.floor(Math.random() * 16).toString(16)).join("");
const wave = (t, period, low, high) => low + ((high - low) * (1 + Math.sin((2 * Math.PI * t) / period))) / 2;
const near = (value) => value * (0.9 + 0.2 * Math.random());

export class Simulation {
  samples = [];
  log = [];
  running = 0;
  listeners = new Set();
  totals = { requests: 412, errors: 3, prompt: 51_200, completion: 98_000, cpu_s: 900, cached: 30_000, forced: 900 };
  started = Date.now() - 7_260_000;

  constructor() {
    const now = Date.now();
    for (let ago = 899; ago > 0; ago -= 1) this.samples.push(this.sample(now - ago * 1000));
    for (let n = 260; n > 0; n -= 1) this.log.push(this.madeUp(now - n * 2700));
    const timer = setInterval(() => this.tick(), 1000);
    timer.unref();
  }

  models = [
    model("SmolLM2-135M-Instruct-Q4_1", true, { name: "SmolLM2 135M Instruct", architecture: "llama", quantization: "Q4_1", license: "apache-2.0", kind: "generator", parameters: 134_515_008, file_bytes: 97_500_000, layers: 30, dim: 576, heads: 9, kv_heads: 3, head_dim: 64, ffn_dim: 1536, vocab_size: 49_152, chat_template: "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful AI assistant<|im_end|>\n{% endif %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}" }, 8192, 576),
    model("stories260K", true, { name: "stories260K (smoke test)", architecture: "llama", quantization: "F16", license: "mit", parameters: 292_800, file_bytes: 527_000, layers: 5, dim: 64, heads: 8, kv_heads: 4, vocab_size: 512 }, 512, 64),
    model("use-lite", false, { architecture: "bert", quantization: "F32", license: "apache-2.0", parameters: 6_900_000, file_bytes: 27_700_000 }, 512, 512),
  ];

  system = {
    version: "0.1.0", commit: "mock000", kernel_target: "AVX3_ZEN4", cpu: "A processor that does not exist", threads: 2, started_unix_ms: this.started,
    config: { listen: { host: "127.0.0.1", port: 8080 }, limits: { body_bytes_max: 8_388_608, header_bytes_max: 16_384, queue_depth_max: 256, request_ms_max: 600_000 }, engine: { threads: 2, context_tokens_max: 8192, batch_tokens_max: 256, running_max: 16 }, log: { level: "info", json: false } },
  };

  last = () => this.samples[this.samples.length - 1];

  onSample(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  tick() {
    if (Math.random() < 0.3) this.log.push(this.madeUp(Date.now()));
    this.samples.push(this.sample(Date.now()));
    this.samples = this.samples.slice(-900);
    for (const listener of this.listeners) listener(this.last());
  }

  sample(unix_ms) {
    const t = unix_ms / 1000;
    const load = wave(t, 240, 0.1, 1) * wave(t, 37, 0.6, 1);
    const decode = near(140 * load);
    Object.assign(this.totals, { completion: this.totals.completion + Math.round(decode), cpu_s: this.totals.cpu_s + 2 * load, prompt: this.totals.prompt + Math.round(40 * load), cached: this.totals.cached + Math.round(70 * load), forced: this.totals.forced + Math.round(6 * load) });
    const percentiles = (p50) => ({ p50: near(p50), p95: near(p50 * 2.2) });
    return {
      unix_ms, uptime_s: (unix_ms - this.started) / 1000, running: this.running + Math.round(3 * load), queued: load > 0.85 ? 2 : 0,
      kv_pages_used: Math.round(700 * load), kv_pages_total: 1024, prompt_tokens_total: this.totals.prompt, completion_tokens_total: this.totals.completion,
      requests_total: this.totals.requests + this.log.length, errors_total: this.totals.errors,
      prefill_tokens_per_s: load > 0.4 ? near(420 * load) : 0, decode_tokens_per_s: decode, requests_per_s: near(1.6 * load),
      ttft_ms: percentiles(180), itl_ms: percentiles(13), e2e_ms: percentiles(2400),
      rss_bytes: 260e6 + 60e6 * load, cpu_seconds_total: this.totals.cpu_s, open_connections: 4,
      running_max: 16, batch_rows_last: Math.round(near(40 * load)), batch_rows_max: 256, kv_pages_cached: Math.round(260 * wave(t, 400, 0.4, 1) * load),
      cached_tokens_total: this.totals.cached, prefix_hits_total: 310, prefix_misses_total: 102, prefix_hit_rate: 0.6, pages_evicted_total: Math.round(t / 50) % 100_000,
      preempted_total: Math.round(t / 300) % 1000, swapped_out_bytes_total: 12e6, forced_tokens_total: this.totals.forced,
      gap_ms: { p50: near(13), p99: near(24), max: near(41) },
    };
  }

  madeUp(unix_ms) {
    const broken = Math.random() < 0.06;
    const tokens = broken ? 0 : Math.round(near(90));
    const times = broken ? [] : [["queue", near(3)], ["template", near(0.6)], ["prefill", near(170)], ["decode", tokens * 7], ["stream", near(1)]];
    return record({
      unix_ms, model: Math.random() < 0.8 ? this.models[0].id : "use-lite", tokens, times,
      status: broken ? 400 : 200, finish: broken ? null : "stop", user_agent: "openai-python/2.8.1",
      error: broken ? { code: "invalid_request", message: "temperature is 3.5; give a number from 0 to 2" } : null,
    });
  }

  page(query) {
    const limit = Math.min(1000, Number(query.get("limit") ?? 100));
    const newest = [...this.log].reverse();
    const from = query.get("before") ? newest.findIndex((r) => r.id === query.get("before")) + 1 : 0;
    const rows = newest.slice(from, from + limit).map(({ spans: _, ...row }) => row);
    return { requests: rows, next_before: from + limit < newest.length ? rows[rows.length - 1].id : null };
  }

  request = (id) => this.log.find((r) => r.id === id);

  start(body, user_agent) {
    const begun = Date.now();
    this.running += 1;
    const words = ANSWER.match(/\s*\S+/g).slice(0, body.max_tokens ?? undefined);
    let made = 0;
    let first = 0;
    const entry = record({ unix_ms: begun, model: body.model, tokens: 0, times: [], status: 200, finish: null, user_agent, error: null });
    const simulation = this;
    return {
      record: entry,
      async *pieces() {
        await wait(120);
        first = Date.now();
        for (const word of words) {
          made += 1;
          yield word;
          await wait(TOKEN_MS);
        }
      },
      finish(how) {
        simulation.running -= 1;
        const decode = Date.now() - (first || Date.now());
        const finish = how ?? (made < ANSWER.match(/\s*\S+/g).length ? "length" : "stop");
        Object.assign(entry, record({
          unix_ms: begun, model: body.model, tokens: made, status: 200, finish, user_agent, error: null,
          times: [["queue", 1.2], ["template", 0.4], ["prefill", Math.max(1, first - begun - 2)], ["decode", decode], ["stream", 0.8]],
        }), { id: entry.id, trace_id: entry.trace_id });
        simulation.log.push(entry);
        const usage = { prompt_tokens: 38, completion_tokens: made, total_tokens: 38 + made, prompt_tokens_details: { cached_tokens: 16 } };
        return { usage, finish, timings: { ttft_ms: entry.ttft_ms, tokens_per_s: entry.tokens_per_s, total_ms: entry.total_ms } };
      },
    };
  }
}

function model(id, generates, details, context_tokens, embedding_dim) {
  return { id, object: "model", created: 1_760_000_000, owned_by: "dougong", generates, embeds: true, context_tokens, embedding_dim, state: "ready", state_text: "", memory_bytes: details.file_bytes * 1.4, requests_running: 0, details };
}

function record({ unix_ms, model, tokens, times, status, finish, user_agent, error }) {
  let at = 0;
  const spans = times.map(([name, ms]) => ({ name, start_ms: at, end_ms: (at += ms) }));
  const ms = Object.fromEntries(times);
  const total = times.length ? at : 0.4;
  return {
    id: `req-${hex(12)}`, trace_id: hex(32), unix_ms, method: "POST", path: model === "use-lite" ? "/v1/embeddings" : "/v1/chat/completions",
    model, stream: model !== "use-lite", status, finish, error, prompt_tokens: 38, cached_tokens: 16, completion_tokens: tokens, context_dropped_tokens: 0,
    queue_ms: ms.queue ?? null, template_ms: ms.template ?? null, prefill_ms: ms.prefill ?? null, decode_ms: ms.decode ?? null, stream_ms: ms.stream ?? null,
    ttft_ms: times.length ? ms.queue + ms.template + ms.prefill : null, total_ms: total,
    tokens_per_s: ms.decode ? (1000 * tokens) / ms.decode : null, client: "127.0.0.1", user_agent, spans,
  };
}
