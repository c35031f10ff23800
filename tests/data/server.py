"""A real server on this machine that misbehaves as told."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Self
from urllib.parse import unquote

import numpy as np

from sgrs_core.data.download.http import RetryPolicy

PIECE = 1 << 14
CONTENT = np.random.default_rng(0).bytes(4 * PIECE + 17)
OTHER_CONTENT = np.random.default_rng(1).bytes(4 * PIECE + 17)
PAGE = b"<html>Too many downloads today</html>"
PATIENT = RetryPolicy(retries=3, timeout=5.0, backoff=0.001)
IMPATIENT = RetryPolicy(retries=0, timeout=5.0)
HASTY = RetryPolicy(retries=9, timeout=0.1, backoff=0.001)

Fault = Callable[["Handler", bytes], None]


class Server(ThreadingHTTPServer):
    """Serves `contents` by name; each of a name's faults is used up by one request for it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.contents: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self._faults: dict[str, list[Fault]] = {}

    def fails(self, name: str, *faults: Fault) -> None:
        """Let the next requests for `name` go wrong."""
        self._faults[name] = list(faults)

    def name_of(self, address: str) -> str:
        """What the path and query of a request's address ask for."""
        return unquote(address).removeprefix("/")

    def content(self, name: str) -> bytes | None:
        return self.contents.get(name)

    def respond(self, handler: "Handler") -> None:
        """Answer as the fault in turn says, else well."""
        name = self.name_of(handler.path)
        self.asked[name] += 1
        content = self.content(name)
        faults = self._faults.get(name)
        if content is None:
            handler.answer(404, b"no such file")
        elif faults:
            faults.pop(0)(handler, content)
        else:
            self.answer_well(handler, content)

    def answer_well(self, handler: "Handler", content: bytes) -> None:
        handler.answer(200, content)

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Serve until the block ends."""
        with self:
            Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            try:
                yield self
            finally:
                self.shutdown()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.respond(self)

    def answer(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.write(body)

    def write(self, body: bytes) -> None:
        with suppress(ConnectionError):  # the client no longer waits for a slow answer
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Keep the tests' output free of the server's."""


def answer_in_chunks(handler: Handler, content: bytes) -> None:
    """Whole, as a body made on the fly is sent: in pieces, without its length."""
    _send_chunks(handler, content)
    handler.write(b"0\r\n\r\n")


def cut_in_chunks(handler: Handler, content: bytes) -> None:
    """Half of such a body, broken off without its end."""
    _send_chunks(handler, content[: len(content) // 2])


def end_early_in_chunks(handler: Handler, content: bytes) -> None:
    """Half of such a body, ended as if it were whole."""
    answer_in_chunks(handler, content[: len(content) // 2])


def page_in_chunks(handler: Handler, content: bytes) -> None:
    answer_in_chunks(handler, PAGE)


def _send_chunks(handler: Handler, content: bytes) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.send_header("Connection", "close")
    handler.end_headers()
    for start in range(0, len(content), PIECE):
        piece = content[start : start + PIECE]
        handler.write(b"%x\r\n%b\r\n" % (len(piece), piece))


def cut(handler: Handler, content: bytes) -> None:
    """Half of a body whose length was announced."""
    handler.answer(200, content[: len(content) // 2], length=len(content))


def stall(handler: Handler, content: bytes) -> None:
    cut(handler, content)
    time.sleep(0.3)


def sleep_first(handler: Handler, content: bytes) -> None:
    time.sleep(0.3)
    handler.answer(200, content)


def error_page(handler: Handler, content: bytes) -> None:
    handler.answer(200, PAGE)


def status(code: int, **headers: str) -> Fault:
    return lambda handler, content: handler.answer(code, b"sorry", **headers)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
