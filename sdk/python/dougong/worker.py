"""A worker: takes calls of `worker` steps, runs functions, answers. One request carries what is done and asks for more;
while it waits, what becomes done goes by a second one."""
from __future__ import annotations

import asyncio
import dataclasses
import inspect
import json
import os
import socket
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Sequence

from .transport import DougongError, Transport, backoff_s

_WAIT_MS = 20_000
_RESULTS_MAX = 10_000
_TASKS_MAX = 1_000


class StepError(Exception):
    """Fails a step with a code: `unavailable`, `deadline_exceeded` and `resource_exhausted` are tried again unless the
    step's `retry.on` says otherwise; anything else raised counts as `unavailable`."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


@dataclasses.dataclass
class StepContext:
    """What a step's function is told of its call, as its second argument where it takes two."""
    task: str
    queue: str
    function: str
    run: str
    workflow: str
    version: int
    step: str
    attempt: int  # of the step, from 1
    giving: int  # above 1: a worker that had this attempt lost it
    idempotency_key: str  # the same for every attempt and giving: what must not happen twice is done under it
    deadline_unix_ms: int | None = None
    cancelled: threading.Event = dataclasses.field(default_factory=threading.Event)  # nobody waits for it any more
    tokens: int = 0  # counted against the run's budget
    cost_usd: float = 0.0


class _Link:
    """What is between a worker and one server. All links of a worker share its condition."""

    def __init__(self, worker: Worker, transport: Transport):
        self.worker, self.transport, self.changed = worker, transport, worker._changed
        self.running: dict[str, StepContext] = {}
        self.done: list[str] = []  # results as JSON text
        self.asked = 0  # functions that a request on its way may bring
        self.beat_due = False

    def exchange(self, most: int, running: list[str]) -> bool:
        """One request. False when it failed: then its results wait for the next."""
        worker = self.worker
        with self.changed:
            results, self.done = self.done[:_RESULTS_MAX], self.done[_RESULTS_MAX:]
        body: dict[str, Any] = {"worker": worker.name}
        if most > 0:
            body |= {"queues": {queue: list(functions) for queue, functions in worker._steps.items()}, "max": most,
                     "wait_ms": _WAIT_MS, "lease_ms": worker.lease_ms}
        if running:
            body["running"] = running
        text = json.dumps(body)
        if results:
            text = f'{text[:-1]}, "results": [{", ".join(results)}]}}'
        try:
            answer = self.transport.call("POST", f"/v1/workers/tasks/{'take' if most > 0 else 'report'}",
                                         body=text.encode(), waits=most > 0)
        except DougongError as error:
            if error.status == 413 and results:
                self.shrink(results)
                return True
            with self.changed:
                self.done = results + self.done
            if 400 <= error.status < 500 and error.status != 429:
                worker._fail(error)
            elif not (worker._stopping and most > 0):
                worker._tell("unreachable", error)
            return False
        for one in answer.get("refused", ()):
            if one["code"] != "already_exists":
                worker._tell("refused", one)
        with self.changed:
            for one in answer.get("stop", ()):
                if one["task"] in self.running:
                    self.running[one["task"]].cancelled.set()
        for task in answer["tasks"]:
            worker._begin(self, task)
        if answer.get("draining"):
            worker._tell("draining", self.transport.url)
            worker._sleep(1.0)
        return True

    def shrink(self, results: list[str]) -> None:
        """They are too much together: the half at a time; one that is too much by itself fails."""
        if len(results) == 1:
            task = json.loads(results[0])["task"]
            results = [_failure(task, StepError("payload_too_large", "the output is larger than the server takes"))]
            with self.changed:
                self.done = results + self.done
            return
        rest: list[str]
        with self.changed:
            rest, self.done = self.done, []
        for part in (results[:len(results) // 2], results[len(results) // 2:]):
            with self.changed:
                self.done = part + self.done
            self.exchange(0, [])
        with self.changed:
            self.done += rest

    def loop(self) -> None:
        """Asks for more until the worker stops."""
        worker, attempt = self.worker, 0
        while True:
            with self.changed:
                self.changed.wait_for(lambda: worker._stopping or self.done or worker._free(self) > 0)
                if worker._stopping:
                    return
                self.asked = worker._free(self)
                self.changed.notify_all()
            sent = self.exchange(self.asked, [])
            with self.changed:
                self.asked = 0
                if sent:  # what is done at once goes with the next request
                    self.changed.wait_for(lambda: self.done or not self.running, 0.001)
                self.changed.notify_all()
            if sent:
                attempt = 0
            else:
                worker._sleep(backoff_s(attempt))
                attempt += 1

    def report(self) -> None:
        """Sends what is done, and heartbeats, while a request for more waits."""
        worker, attempt = self.worker, 0
        while True:
            with self.changed:
                self.changed.wait_for(lambda: worker._over.is_set() or self.beat_due or (self.done and self.asked > 0))
                if worker._over.is_set():
                    return
                running = list(self.running) if self.beat_due else []
                self.beat_due = False
                if not running and not self.done:
                    continue
            if self.exchange(0, running):
                attempt = 0
            elif not worker._over.wait(backoff_s(attempt)):
                attempt += 1


class Worker:
    """
    @worker.step("images", "resize") names a function; run() works until stop(). `url`: one server or several;
    `concurrency`: functions at once, each on a thread; `lease_ms`: after so long without a sign of life another worker
    gets the task; `on_event(kind, detail)` hears of "unreachable", "refused" and "draining".
    """

    def __init__(self, url: str | Sequence[str] = "http://127.0.0.1:8080", *, tenant: str | None = None,
                 api_key: str | None = None, headers: dict[str, str] | None = None, concurrency: int = 8,
                 lease_ms: int = 30_000, name: str | None = None, on_event: Callable[[str, Any], None] | None = None):
        self.name = name or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.concurrency, self.lease_ms = concurrency, lease_ms
        self._tell = on_event or (lambda kind, detail: None)
        self._steps: dict[str, dict[str, Callable[..., Any]]] = {}
        self._changed = threading.Condition()  # guards the links and what is below
        self._stopping = False
        self._over = threading.Event()
        self._failed: DougongError | None = None
        urls = [url] if isinstance(url, str) else list(url)
        if not urls:
            raise ValueError("a worker needs the url of a server")
        self._links = [_Link(self, Transport(one, tenant, api_key, headers)) for one in urls]

    def step(self, queue: str, function: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Names a function of (arguments) or (arguments, context), plain or async; absent: by its own name."""
        def named(handler: Callable[..., Any]) -> Callable[..., Any]:
            self._steps.setdefault(queue, {})[function or handler.__name__] = handler
            return handler
        return named

    # ---- for its links -------------------------------------------------------------------------

    def _free(self, link: _Link) -> int:
        """Functions that a server may be asked for: those that no other is being asked for, shared out."""
        used = sum(len(one.running) + (0 if one is link else one.asked) for one in self._links)
        idle = sum(one is link or one.asked == 0 for one in self._links)
        return max(0, min(_TASKS_MAX, -(-(self.concurrency - used) // idle)))

    def _fail(self, error: DougongError) -> None:
        with self._changed:
            self._failed, self._stopping = error, True
            self._changed.notify_all()
        for link in self._links:
            link.transport.wake()

    def _sleep(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, seconds)

    # ---- functions -----------------------------------------------------------------------------

    def _begin(self, link: _Link, task: dict[str, Any]) -> None:
        context = StepContext(task["task"], task["queue"], task["function"], task["run"], task["workflow"],
                              task["version"], task["step"], task["attempt"], task["giving"], task["idempotency_key"],
                              task.get("deadline_unix_ms"))
        with self._changed:
            link.running[context.task] = context
        self._pool.submit(self._perform, link, context, task["arguments"])

    def _perform(self, link: _Link, context: StepContext, arguments: Any) -> None:
        result: str | None
        try:
            handler = self._steps[context.queue][context.function]
            wants_context = len(inspect.signature(handler).parameters) > 1
            output = handler(arguments, context) if wants_context else handler(arguments)
            if inspect.isawaitable(output):
                output = asyncio.run(_awaited(output))
            try:
                fields: dict[str, Any] = {"task": context.task, "output": output}
                if context.tokens:
                    fields["tokens"] = context.tokens
                if context.cost_usd:
                    fields["cost_usd"] = context.cost_usd
                result = json.dumps(fields, allow_nan=False)
            except (TypeError, ValueError) as error:
                result = _failure(context.task, StepError("invalid_argument", f"the output is no JSON: {error}"))
        except BaseException as error:  # noqa: B902: whatever a step raises is its failure
            result = _failure(context.task, error)
        with self._changed:
            link.running.pop(context.task, None)
            if not context.cancelled.is_set():
                link.done.append(result)
            self._changed.notify_all()

    # ---- its threads ---------------------------------------------------------------------------

    def _beat(self) -> None:
        while not self._over.wait(self.lease_ms / 3000):
            with self._changed:
                for link in self._links:
                    link.beat_due = True
                self._changed.notify_all()

    def run(self) -> None:
        """Works until stop(). Raises what a server refuses for good: a wrong tenant, a wrong name."""
        if not self._steps:
            raise ValueError("a worker needs steps: name functions with @worker.step(queue, function)")
        self._pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="dougong-step")
        first, *others = self._links
        loops = [threading.Thread(target=link.loop, daemon=True) for link in others]
        helpers = [threading.Thread(target=link.report, daemon=True) for link in self._links]
        helpers.append(threading.Thread(target=self._beat, daemon=True))
        for thread in loops + helpers:
            thread.start()
        try:
            first.loop()
            for thread in loops:
                thread.join()
            with self._changed:
                self._changed.wait_for(lambda: not any(link.running for link in self._links), self._patience_s)
                for link in self._links:
                    for context in link.running.values():
                        context.cancelled.set()
            for last in range(3):
                left = [link for link in self._links if link.done]
                if self._failed or all([link.exchange(0, []) for link in left]):
                    break
                self._over.wait(backoff_s(last))
        finally:
            self._over.set()
            with self._changed:
                self._changed.notify_all()
            self._pool.shutdown(wait=False, cancel_futures=True)
            for helper in helpers:
                helper.join()
            for link in self._links:
                link.transport.close()
        if self._failed:
            raise self._failed

    _patience_s = 30.0

    def stop(self, timeout_s: float = 30.0) -> None:
        """Takes no more; what runs may end, for at most `timeout_s`, and is answered; run() returns then. From any thread,
        or a signal's handler."""
        self._patience_s = timeout_s
        self._stopping = True
        for link in self._links:
            link.transport.wake()
        if self._changed.acquire(blocking=False):
            self._changed.notify_all()
            self._changed.release()


def _failure(task: str, error: BaseException) -> str:
    code = error.code if isinstance(error, StepError) else "unavailable"
    message = str(error) if isinstance(error, StepError) else f"{type(error).__name__}: {error}"
    return json.dumps({"task": task, "error": {"code": code, "message": message[:4_000]}})


async def _awaited(output: Any) -> Any:
    return await output
