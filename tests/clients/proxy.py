"""Owns a proxy that misbehaves on demand, and remembers what the client really sent and got."""

import http.client
import threading
import time
from collections import deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from server import STEP_MAX_SECONDS


@dataclass(frozen=True)
class Refuse:
    """Answers by itself with this status; the server never sees the request."""

    status: int
    retry_after: int | None = None


class Cut:
    """Lets the server do its work, then closes the connection without the answer."""


@dataclass
class Seen:
    """One request as it came over the wire, and what the server answered, where it was asked."""

    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int | None = None
    answer_headers: dict[str, str] | None = None


class Proxy:
    """Forwards requests to a server, but for those that a fault is planned for."""

    def __init__(self, upstream: str):
        self._upstream = urlsplit(upstream).netloc
        self._faults: deque[Refuse | Cut] = deque()
        self.seen: list[Seen] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_request(self):
                proxy._handle(self)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_request

            def log_message(self, *_):
                pass

        self._listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._listener.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._listener.server_port}"
        self._thread = threading.Thread(target=self._listener.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def plan(self, *faults: Refuse | Cut) -> None:
        """The next requests meet these faults, one each; those after them are forwarded."""
        self._faults.extend(faults)

    def close(self) -> None:
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        headers = dict(request.headers.items())
        seen = Seen(time.monotonic(), request.command, request.path, headers, body)
        self.seen.append(seen)
        fault = self._faults.popleft() if self._faults else None
        if isinstance(fault, Refuse):
            wait = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            self._answer(request, fault.status, wait, b"")
            return
        connection = http.client.HTTPConnection(self._upstream, timeout=STEP_MAX_SECONDS)
        connection.request(request.command, request.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        seen.status = answer.status
        seen.answer_headers = {name.lower(): value for name, value in answer.getheaders()}
        if isinstance(fault, Cut):
            request.close_connection = True
            return
        self._answer(request, answer.status, seen.answer_headers, content)

    @staticmethod
    def _answer(request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: bytes) -> None:
        request.send_response_only(status)
        for name, value in headers.items():
            if name not in ("connection", "content-length", "transfer-encoding"):
                request.send_header(name, value)
        if status != 204:
            request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
