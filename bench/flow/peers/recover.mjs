// Open runs, and who finishes them after a kill:
//   PEER=dbos|langgraph|restate|dougong node recover.mjs fill|resume RUNS
// A run has a step that is done and one that is open. `fill` says "filled" when all stand there and waits to be killed;
// `resume` says {"ready_s", "done_s"} since it was started, when all are over.
const [, , mode, N] = process.argv, runs = +N, hold = mode === 'fill', peer = process.env.PEER;
const since = () => +((performance.now()) / 1e3).toFixed(3);
const pad = 'x'.repeat(200), never = () => new Promise(() => {});
let ready = 0, done = 0, standing = 0, all;
const finished = new Promise((ok) => (all = ok));
const over = () => { if (++done === runs) all(); };
const stands = () => { if (++standing === runs) { console.log('filled'); setInterval(() => {}, 1e6); } };
const each = async (clients, run) => {
  let next = 0;
  await Promise.all(Array.from({ length: clients }, async () => { while (next < runs) await run(next++); }));
};

if (peer === 'dbos') {
  const { DBOS } = await import('@dbos-inc/dbos-sdk');
  DBOS.setConfig({ name: 'bench', applicationVersion: '1', systemDatabaseUrl: process.env.PG_URL, logLevel: 'error', runAdminServer: false, enableOTLP: false });
  const wf = DBOS.registerWorkflow(async (x) => {
    const a = await DBOS.runStep(async () => ({ result: x, pad }), { name: 's0' });
    if (hold) { stands(); await never(); }
    const b = await DBOS.runStep(async () => ({ result: a.result + 1, pad }), { name: 's1' });
    return b.result;
  }, { name: 'wf' });
  await DBOS.launch();
  ready = since();
  if (hold) await each(16, async (i) => { await DBOS.startWorkflow(wf)(i); while (standing < i - 64) await new Promise((r) => setTimeout(r, 5)); });
  else {
    const { Client } = (await import('pg')).default;
    const db = new Client({ connectionString: process.env.PG_URL });
    await db.connect();
    for (;;) { // as the database has it
      const { rows } = await db.query("SELECT count(*)::int AS n FROM dbos.workflow_status WHERE status = 'SUCCESS'");
      if (rows[0].n >= runs) break;
      await new Promise((r) => setTimeout(r, 50));
    }
    all();
  }
} else if (peer === 'langgraph') {
  const { StateGraph, Annotation, START, END } = await import('@langchain/langgraph');
  const { PostgresSaver } = await import('@langchain/langgraph-checkpoint-postgres');
  const step = async (s) => ({ n: (s.n || 0) + 1, pad });
  const cp = PostgresSaver.fromConnString(process.env.PG_URL);
  await cp.setup();
  const app = new StateGraph(Annotation.Root({ n: Annotation(), pad: Annotation() })).addNode('s0', step).addNode('s1', step)
    .addEdge(START, 's0').addEdge('s0', 's1').addEdge('s1', END).compile({ checkpointer: cp, ...(hold && { interruptBefore: ['s1'] }) });
  ready = since();
  await each(32, async (i) => {
    const out = await app.invoke(hold ? { n: 0 } : null, { configurable: { thread_id: `r${i}` }, durability: 'sync' });
    if (hold) stands();
    else { if (out.n !== 2) throw new Error('wrong result'); over(); }
  });
} else if (peer === 'restate') {
  const restate = await import('@restatedev/restate-sdk');
  const http2 = (await import('http2')).default, http = (await import('http')).default;
  const svc = restate.service({ name: 'open', handlers: { run: async (ctx, x) => {
    const a = await ctx.run('s0', async () => ({ result: x, pad }));
    if (hold) { stands(); await never(); }
    const b = await ctx.run('s1', async () => ({ result: a.result + 1, pad }));
    over();
    return b.result;
  } } });
  http2.createServer(restate.endpoint().bind(svc).http2Handler()).listen(+process.env.SVC_PORT, '127.0.0.1');
  ready = since();
  if (hold) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
    const register = () => fetch(`http://127.0.0.1:${process.env.ADMIN}/deployments`, { method: 'POST', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ uri: `http://127.0.0.1:${process.env.SVC_PORT}`, force: true }) });
    for (let left = 60; ; left--) { try { if ((await register()).ok) break; } catch (e) { if (left === 0) throw e; } await new Promise((r) => setTimeout(r, 500)); }
    await each(32, (i) => new Promise((ok, no) => {
      const r = http.request({ host: '127.0.0.1', port: +process.env.INGRESS, path: '/open/run/send', method: 'POST', agent, headers: { 'content-type': 'application/json' } },
        (res) => { res.resume(); res.on('end', ok); });
      r.on('error', no); r.end(JSON.stringify(i));
    }));
  }
} else if (hold) { // ours: the second step is a worker's, and none is there
  const http = (await import('http')).default;
  const url = new URL(process.env.URL), agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
  await each(32, (i) => new Promise((ok, no) => {
    const r = http.request({ host: url.hostname, port: url.port, path: '/v1/workflows/open/runs', method: 'POST', agent, headers: { 'content-type': 'application/json' } },
      (res) => { res.resume(); res.on('end', () => (res.statusCode === 201 ? ok() : no(new Error(res.statusCode)))); });
    r.on('error', no); r.end(JSON.stringify({ input: { x: i } }));
  }));
  console.log('filled');
} else {
  const { Worker } = await import(process.env.SDK);
  const seen = new Map(), urls = process.env.URL.split(',');
  const worker = new Worker({ url: urls, concurrency: 256, steps: { bench: { step: async ({ x }) => {
    if (!seen.has(x)) { seen.set(x, Date.now() / 1e3); over(); }
    return { result: x + 1, pad };
  } } } });
  ready = since();
  worker.run();
  await finished;
  if (process.env.WHEN) console.log(JSON.stringify([...seen.values()]));
  await new Promise((r) => process.stdin.resume().on('end', r)); // what is done goes out before
  process.exit(0);
}
if (!hold) {
  await finished;
  console.log(JSON.stringify({ ready_s: ready, done_s: since() }));
  process.exit(0);
}
