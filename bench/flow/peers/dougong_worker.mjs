// usage: URL=http://127.0.0.1:PORT SDK=sdk/npm/src/index.js node dougong_worker.mjs   (steps of worker1, worker10)
const { Worker } = await import(process.env.SDK);
await new Worker({ url: process.env.URL, concurrency: 256,
  steps: { bench: { step: async ({ x, i }) => ({ result: x + i, pad: 'x'.repeat(200) }) } } }).run();
