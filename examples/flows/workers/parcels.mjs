// node examples/flows/workers/parcels.mjs [URL]: the `prices` of examples/flows/parcels.yaml.
import { StepError, Worker } from '../../../sdk/npm/src/index.js';

const worker = new Worker({
  url: process.argv[2] ?? 'http://127.0.0.1:8080',
  steps: {
    prices: {
      price({ id, litres }, { idempotencyKey }) {
        if (litres <= 0) throw new StepError('invalid_argument', `parcel ${id} has no size`);
        return { id, cents: Math.ceil(300 + litres * 12), booked_as: idempotencyKey };
      },
    },
  },
  onEvent: (kind, detail) => console.error(kind, detail),
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => worker.stop());
console.log(`${worker.name} works`);
await worker.run();
