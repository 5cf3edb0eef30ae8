"""One server over kept connections: JSON in, JSON out, its errors as they are."""
from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import threading
import urllib.parse
from typing import Any, Iterator

_TIMEOUT_S = 90.0  # longer than any request waits for tasks


class DougongError(Exception):
    """What a server said, or why it could not be asked (`code` "unavailable", `status` 0)."""

    def __init__(self, message: str, code: str = "internal", status: int = 0, param: str | None = None):
        super().__init__(message)
        self.code, self.status, self.param = code, status, param


def backoff_s(attempt: int, first_s: float = 0.1, most_s: float = 5.0) -> float:
    """Half a doubling wait and half chance."""
    most = min(most_s, first_s * 2 ** min(attempt, 20))
    return most / 2 + random.random() * most / 2


def _error_of(status: int, text: bytes) -> DougongError:
    try:
        error = json.loads(text)["error"]
        return DougongError(error["message"], error["code"], status, error.get("param"))
    except (ValueError, KeyError, TypeError):
        return DougongError(f"the server answered {status}: {text[:200].decode(errors='replace')}",
                            "unavailable" if status >= 500 else "internal", status)


class Transport:
    """Thread-safe: each request has a connection of its own while it lasts."""

    def __init__(self, url: str = "http://127.0.0.1:8080", tenant: str | None = None, api_key: str | None = None,
                 headers: dict[str, str] | None = None):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url is '{url}', expected http:// or https:// and a host")
        self.url = url
        self._parts = parts
        self._prefix = parts.path.rstrip("/").removesuffix("/v1")
        self._headers = dict(headers or {})
        if tenant:
            self._headers["X-Dougong-Tenant"] = tenant
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []
        self._closed = False
        self._waiting: http.client.HTTPConnection | None = None  # of the request that may be broken off
        self._woken = False

    def wake(self) -> None:
        """Breaks off the request that said it may be, for good. From a signal's handler, too: takes no lock."""
        self._woken = True
        connection = self._waiting
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            if self._idle:
                return self._idle.pop(), True
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        return kind(self._parts.hostname or "", self._parts.port, timeout=_TIMEOUT_S), False

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _open(self, method: str, path: str, body: bytes | None, headers: dict[str, str], waits: bool = False
              ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        while True:
            connection, kept = self._connection()
            if waits:
                self._waiting = connection
            try:
                if waits and self._woken:
                    raise ConnectionAbortedError("stopped")
                connection.request(method, self._prefix + path, body, {**self._headers, **headers})
                return connection, connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                # A kept connection may have been closed by the server before it saw anything of this.
                if kept and not (waits and self._woken) and isinstance(error, (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)):
                    continue
                raise DougongError(f"{self.url} cannot be reached: {error}", "unavailable") from error

    def call(self, method: str, path: str, value: Any = None, *, body: bytes | None = None,
             content_type: str = "application/json", waits: bool = False) -> Any:
        """The parsed answer. Raises DougongError for anything but a success. `waits`: wake() may break it off."""
        if body is None and method != "GET" and method != "DELETE":
            body = json.dumps(value).encode()
        connection, response = self._open(method, path, body, {"Content-Type": content_type} if body is not None else {},
                                          waits)
        try:
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise DougongError(f"the connection to {self.url} broke: {error}", "unavailable") from error
        finally:
            if waits:
                self._waiting = None
        if response.will_close:
            connection.close()
        else:
            self._keep(connection)
        if response.status >= 300:
            raise _error_of(response.status, text)
        return json.loads(text) if text else None

    def events(self, path: str, last_event_id: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
        """(id, data) of each server-sent event until the server ends the stream."""
        headers = {"Last-Event-ID": str(last_event_id)} if last_event_id else {}
        connection, response = self._open("GET", path, None, headers)
        with contextlib.closing(connection):
            if response.status >= 300:
                raise _error_of(response.status, response.read())
            number, data = 0, None
            try:
                for line in response:
                    name, _, value = line.decode().rstrip("\n").partition(": ")
                    if name == "id":
                        number = int(value)
                    elif name == "data":
                        data = json.loads(value)
                    elif not name and data is not None:
                        yield number, data
                        data = None
            except (OSError, http.client.HTTPException) as error:
                raise DougongError(f"the connection to {self.url} broke: {error}", "unavailable") from error
