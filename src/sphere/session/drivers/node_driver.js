// Runs the cells of a live session, one after another in one global scope; python_driver.py says how
// cells come and answers go. A cell whose value is a promise ends when that is settled.
'use strict';
{
const fs = require('fs'), net = require('net'), os = require('os'), util = require('util'), vm = require('vm');
const {createRequire} = require('module');
const {Readable, Writable} = require('stream');

let mark = null;
process.argv.length = 1;
const kTextMax = 1 << 20, kPieceMax = 3500;
globalThis.require = createRequire('/workspace/');
const input = new net.Socket({fd: 0});
Object.defineProperty(process, 'stdin', {value: Readable.from([])});

function write(fd, bytes) {
    for (let at = 0; at < bytes.length;) {
        try {
            at += fs.writeSync(fd, bytes, at);
        } catch (error) {
            if (error.code !== 'EAGAIN') throw error;
            Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
        }
    }
}

// Node's own streams may keep what a cell wrote until after its end, and an interrupt in the midst of
// their bookkeeping would leave them mute. This one has no state.
class Direct extends Writable {
    constructor(fd) {
        super();
        this.fd = fd;
    }
    write(chunk, encoding, done) {
        const coding = typeof encoding === 'string' ? encoding : 'utf8';
        write(this.fd, typeof chunk === 'string' ? Buffer.from(chunk, coding) : Buffer.from(chunk));
        const told = typeof encoding === 'function' ? encoding : done;
        if (told) process.nextTick(told);
        return true;
    }
}
for (const [name, fd] of [['stdout', 1], ['stderr', 2]]) {
    Object.defineProperty(process, name, {value: new Direct(fd)});
}

function end(cell, answer) {
    write(1, Buffer.concat([mark, Buffer.from('0 1\n')]));
    const data = Buffer.from(JSON.stringify({...answer, cell}));
    for (let at = 0; at < data.length; at += kPieceMax) {
        const piece = data.subarray(at, at + kPieceMax);
        const last = at + kPieceMax >= data.length ? 1 : 0;
        write(2, Buffer.concat([mark, Buffer.from(`${piece.length} ${last}\n`), piece]));
    }
}

function resultOf(value) {
    const text = util.inspect(value);
    if (text.length > kTextMax) return {'text/plain': text.slice(0, kTextMax), truncated: true};
    const shown = {'text/plain': text};
    try {
        const plain = JSON.stringify(value);
        if (plain !== undefined && plain.length <= kTextMax) shown['application/json'] = plain;
    } catch {
    }
    return shown;
}

function failed(error, interrupted) {
    if (interrupted) {
        return {status: 'interrupted',
                error: {name: 'Interrupted', message: 'the cell was interrupted', traceback: ''}};
    }
    const known = error instanceof Error || (error && typeof error.stack === 'string');
    const text = (make) => { try { return String(make()).slice(0, kTextMax); } catch { return ''; } };
    return {status: 'error',
            error: {name: text(() => known ? error.name : typeof error),
                    message: text(() => known ? error.message : util.inspect(error)),
                    // Without the frames of this driver.
            traceback: text(() => known ? error.stack.split(/\n +at [^\n]*\(?node:vm:/)[0] : '')}};
}

let interrupt = null;
// While a cell computes node watches for the signal in a thread, made and ended for every cell, with
// all listeners taken away and given back: half of what a short cell costs. Held by us the thread
// stays. It is let go while a cell waits for a promise, when the signal has to come as an event, and
// for good when a cell wants to hear of the signal itself.
const onSignal = () => { if (interrupt) interrupt(); };
const watch = {held: false, start: null, stop: null, isPending: null};
try {
    const own = process.binding('contextify');
    watch.start = own.startSigintWatchdog;
    watch.stop = own.stopSigintWatchdog;
    watch.isPending = own.watchdogHasPendingSigint;
} catch {
}
function hold() {
    if (watch.held || !watch.start || !watch.stop || !watch.isPending) return;
    if (process.listenerCount('SIGINT') > process.listeners('SIGINT').includes(onSignal)) return;
    process.removeListener('SIGINT', onSignal);
    watch.start();
    watch.held = true;
}
/// True when the signal came meanwhile.
function letGo() {
    const came = watch.held && watch.stop();
    watch.held = false;
    if (!process.listeners('SIGINT').includes(onSignal)) process.on('SIGINT', onSignal);
    return came;
}
process.on('SIGINT', onSignal);
hold();
let broken = null;  // what a callback of a cell threw: told with the cell that runs, else printed
process.on('uncaughtException', (error) => {
    if (interrupt) broken(error);
    else process.stderr.write(util.inspect(error) + '\n');
});

async function run(cell, code) {
    let stopped = false;
    const stop = new Promise((_, reject) => {
        interrupt = () => { stopped = true; reject(new Error('interrupted')); };
        broken = reject;
    });
    stop.catch(() => {});
    if (watch.held && (process.listenerCount('SIGINT') > 0 || watch.isPending())) {
        letGo();
        hold();
    }
    try {
        let value = vm.runInThisContext(code, {filename: `<cell ${cell}>`, breakOnSigint: true});
        if (value && typeof value.then === 'function') {
            if (letGo()) interrupt();
            value = await Promise.race([value, stop]);
        }
        return value === undefined ? {status: 'ok'} : {status: 'ok', result: resultOf(value)};
    } catch (error) {
        return failed(error, stopped || (error && error.code === 'ERR_SCRIPT_EXECUTION_INTERRUPTED'));
    } finally {
        interrupt = null;
        hold();
    }
}

let waiting = Buffer.alloc(0), busy = false;
async function take() {
    if (busy) return;
    busy = true;
    for (;;) {
        const line = waiting.indexOf(10);
        if (line < 0) break;
        if (mark === null) {
            mark = Buffer.from('\x1e' + waiting.subarray(0, line).toString() + ' ');
            waiting = waiting.subarray(line + 1);
            end(0, {status: 'ok', version: process.version.slice(1)});
            continue;
        }
        const [cell, bytes] = waiting.subarray(0, line).toString().split(' ').map(Number);
        if (waiting.length < line + 1 + bytes) break;
        const code = waiting.subarray(line + 1, line + 1 + bytes).toString();
        waiting = waiting.subarray(line + 1 + bytes);
        end(cell, await run(cell, code));
    }
    busy = false;
}
input.on('data', (bytes) => {
    waiting = Buffer.concat([waiting, bytes]);
    take();
});
input.on('end', () => process.exit(0));
run(0, '1').then(() => write(1, Buffer.from('\n')));  // warm, and ready to be given to somebody
}
