export { Client, RunFailedError } from './client.js';
export { DougongError } from './transport.js';
export { StepError, Worker } from './worker.js';
