"""Workflows and runs of a server."""
from __future__ import annotations

import json
import time
import urllib.parse
import uuid
from typing import Any, Callable, Iterator, TypeVar

from .transport import DougongError, Transport, backoff_s

_END = {"run_completed": "completed", "run_failed": "failed", "run_cancelled": "cancelled"}
_T = TypeVar("_T")


class RunFailed(Exception):
    """A run that was waited for did not complete."""

    def __init__(self, run: str, status: str, error: Any = None):
        message = error.get("message") if isinstance(error, dict) else error
        super().__init__(f"{run} is {status}" + (f": {message}" if message else ""))
        self.run, self.status = run, status
        self.code = error.get("code") if isinstance(error, dict) else None


def _path(*parts: str) -> str:
    return "/v1/" + "/".join(urllib.parse.quote(part, safe="") for part in parts)


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


class Client:
    """Thread-safe. `retries`: how often a request that may be repeated is."""

    def __init__(self, url: str = "http://127.0.0.1:8080", *, tenant: str | None = None, api_key: str | None = None,
                 headers: dict[str, str] | None = None, retries: int = 5):
        self._transport = Transport(url, tenant, api_key, headers)
        self._retries = retries

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _again(self, ask: Callable[[], _T]) -> _T:
        """Repeats what may be repeated while the server cannot be reached or is too busy."""
        attempt = 0
        while True:
            try:
                return ask()
            except DougongError as error:
                if (error.code != "unavailable" and error.status != 429) or attempt >= self._retries:
                    raise
            time.sleep(backoff_s(attempt))
            attempt += 1

    def _get(self, path: str) -> Any:
        return self._again(lambda: self._transport.call("GET", path))

    def _deploy(self, workflow: str | dict[str, Any], query: dict[str, str]) -> Any:
        text = workflow if isinstance(workflow, str) else json.dumps(workflow)
        is_json = text.lstrip().startswith("{")
        path = "/v1/workflows" + ("?" + urllib.parse.urlencode(query) if query else "")
        return self._again(lambda: self._transport.call(
            "POST", path, body=text.encode(), content_type="application/json" if is_json else "application/yaml"))

    def deploy(self, workflow: str | dict[str, Any], *, file: str | None = None) -> dict[str, Any]:
        """A workflow as YAML or JSON text, or as a dict. The same again is no new version."""
        return self._deploy(workflow, _given(file=file))

    def validate(self, workflow: str | dict[str, Any], *, file: str | None = None) -> dict[str, Any]:
        """{"valid", "faults": [{"line", "column", "path", "message"}]}; nothing is deployed."""
        return self._deploy(workflow, _given(file=file, dry_run="true"))

    def workflows(self) -> list[dict[str, Any]]:
        return self._get("/v1/workflows")["data"]

    def workflow(self, name: str, *, version: int | None = None) -> dict[str, Any]:
        return self._get(_path("workflows", name) + (f"?version={version}" if version else ""))

    def remove(self, name: str) -> Any:
        return self._transport.call("DELETE", _path("workflows", name))

    def start(self, name: str, input: Any = None, *, labels: dict[str, str] | None = None, version: int | None = None,
              idempotency_key: str | None = None, wait_ms: int | None = None) -> dict[str, Any]:
        """Starts a run: {"id", "status", "output"?, "error"?}. A key is made when none is given, so that a start that is
        repeated after a broken connection starts one run."""
        body = _given(input=input, labels=labels, version=version, wait_ms=wait_ms,
                      idempotency_key=idempotency_key or uuid.uuid4().hex)
        return self._again(lambda: self._transport.call("POST", _path("workflows", name, "runs"), body))

    def run(self, name: str, input: Any = None, **options: Any) -> Any:
        """Starts a run and waits for its output. Raises RunFailed."""
        run = self.start(name, input, **{"wait_ms": 60_000, **options})
        if run["status"] == "completed":
            return run.get("output")
        if run["status"] == "running":
            return self.wait(run["id"])
        raise RunFailed(run["id"], run["status"], run.get("error"))

    def wait(self, run: str) -> Any:
        """The output of a run, when it has completed. Raises RunFailed."""
        for event in self.events(run):
            status = _END.get(event["event"])
            if status == "completed":
                return event.get("value")
            if status:
                raise RunFailed(run, status, event.get("error") or event.get("name"))
        raise DougongError(f"the events of {run} ended before it did", "unavailable")

    def events(self, run: str, *, after: int = 0) -> Iterator[dict[str, Any]]:
        """What happens to a run, the past first, to its end; `place` is each one's number. A broken stream goes on where
        it was."""
        last, attempt = after, 0
        while True:
            try:
                for last, event in self._transport.events(_path("runs", run) + "/watch", last):
                    attempt = 0
                    yield {**event, "place": last}
                    if event["event"] in _END:
                        return
            except DougongError as error:
                if error.code != "unavailable" or attempt >= self._retries:
                    raise
            time.sleep(backoff_s(attempt))
            attempt += 1

    def get(self, run: str) -> dict[str, Any]:
        return self._get(_path("runs", run))

    def list(self, **filters: Any) -> dict[str, Any]:
        """Heads, the newest first: {"data", "has_more", "next"}. By workflow, status, waiting, text, parent, after, limit."""
        return self._get("/v1/runs?" + urllib.parse.urlencode(_given(**filters)))

    def signal(self, run: str, name: str, payload: Any = None) -> Any:
        return self._transport.call("POST", _path("runs", run, "signals", name), payload)

    def answer(self, run: str, step: str, decision: str, answer: Any = None, *, by: str | None = None) -> Any:
        """Answers a step that waits for a person: approved, rejected or answered."""
        return self._transport.call("POST", _path("runs", run, "answer"),
                                    _given(step=step, decision=decision, answer=answer, by=by))

    def approve(self, run: str, step: str, *, by: str | None = None) -> Any:
        return self.answer(run, step, "approved", by=by)

    def reject(self, run: str, step: str, why: str | None = None, *, by: str | None = None) -> Any:
        return self.answer(run, step, "rejected", why, by=by)

    def pause(self, run: str, *, why: str | None = None, by: str | None = None) -> Any:
        return self._transport.call("POST", _path("runs", run, "pause"), _given(why=why, by=by))

    def resume(self, run: str, *, by: str | None = None) -> Any:
        return self._transport.call("POST", _path("runs", run, "resume"), _given(by=by))

    def cancel(self, run: str, *, why: str | None = None) -> Any:
        return self._transport.call("POST", _path("runs", run, "cancel"), _given(why=why))

    def retry(self, run: str, step: str, *, by: str | None = None) -> Any:
        return self._transport.call("POST", _path("runs", run, "retry"), _given(step=step, by=by))

    def publish(self, event: str, payload: Any = None) -> Any:
        """Tells every run of the tenant that waits for this event."""
        return self._transport.call("POST", _path("events", event), payload)

    def workers(self) -> dict[str, Any]:
        return self._get("/v1/workers")
