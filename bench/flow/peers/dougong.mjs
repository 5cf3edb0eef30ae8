// usage: URL=http://127.0.0.1:PORT PID=.. node dougong.mjs SECONDS CLIENTS STEPS   (workflows steps1, steps10 deployed; FLOW=worker: worker1, worker10)
import http from 'http';
import { bench } from './stats.mjs';
const [, , T = '4', C = '1', K = '1'] = process.argv;
const url = new URL(process.env.URL), agent = new http.Agent({ keepAlive: true, maxSockets: +C });
const call = (x) => new Promise((ok, no) => {
  const b = JSON.stringify({ input: { x }, wait_ms: 60000 });
  const r = http.request({ host: url.hostname, port: url.port, path: `/v1/workflows/${process.env.FLOW ?? 'steps'}${K}/runs`, method: 'POST', agent,
    headers: { 'content-type': 'application/json', 'content-length': b.length } }, (res) => {
    let s = ''; res.on('data', (d) => (s += d));
    res.on('end', () => {
      const a = JSON.parse(s);
      if (a.status !== 'completed' || a.output.result !== x + +K - 1) no(new Error(s)); else ok();
    });
  });
  r.on('error', no); r.end(b);
});
await bench({ peer: `dougong ${process.env.FLOW ?? ''}`, seconds: +T, clients: +C, steps: +K, run: call, servers: { server: process.env.PID, ...(process.env.WORKER_PID && { worker: process.env.WORKER_PID }) } });
process.exit(0);
