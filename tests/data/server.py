"""A real server on this machine that misbehaves as told."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Self
from urllib.parse import unquote

import numpy as np

from sgrs_core.data.download.file import CHUNK, RemoteFile
from sgrs_core.data.download.retries import Patience
from sgrs_core.digests import Digest

CONTENT = np.random.default_rng(0).bytes(4 * CHUNK + 17)
OTHER_CONTENT = np.random.default_rng(1).bytes(4 * CHUNK + 17)
CUT = 2 * CHUNK
PAGE = b"<html>Too many downloads today</html>"
PATIENT = Patience(retries=3, timeout=5.0, backoff=0.001)
IMPATIENT = Patience(retries=0, timeout=5.0, backoff=0.001)
HASTY = Patience(retries=3, timeout=0.1, backoff=0.001)

Fault = Callable[["Handler", bytes], None]


class Server(ThreadingHTTPServer):
    """Serves `contents`; each of a name's `faults` is used up by one request for it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.contents: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.ranges: dict[str, list[str | None]] = {}  # the Range header of every request
        self.usual: Fault = answer_well
        self.head: Fault = answer_head
        self.heads: list[str] = []  # the name in every request for a size

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def holds(self, name: str, content: bytes, *faults: Fault) -> None:
        self.contents[name] = content
        self.faults[name] = list(faults)
        self.ranges[name] = []

    def name_of(self, address: str) -> str:
        """What the path and query of a request's address ask for."""
        return unquote(address).removeprefix("/")

    def content(self, name: str) -> bytes | None:
        return self.contents.get(name)

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
    """Answers as the fault in turn says, else as the server usually does."""

    server: Server

    def do_GET(self) -> None:
        name = self.server.name_of(self.path)
        content = self.server.content(name)
        if content is None:
            return self.answer(404, b"no such file")
        self.server.ranges.setdefault(name, []).append(self.headers["Range"])
        faults = self.server.faults.get(name)
        fault = faults.pop(0) if faults else self.server.usual
        return fault(self, content)

    def do_HEAD(self) -> None:
        name = self.server.name_of(self.path)
        self.server.heads.append(name)
        content = self.server.content(name)
        if content is None:
            return self.answer(404, b"")
        return self.server.head(self, content)

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


# Answers to GET


def answer_well(handler: Handler, content: bytes) -> None:
    """Whole, or from the first byte of the Range header on."""
    wanted = handler.headers["Range"]
    if wanted is None:
        return handler.answer(200, content)
    start = int(wanted.removeprefix("bytes=").removesuffix("-"))
    if start >= len(content):
        return handler.answer(416, b"")
    return answer_from(start)(handler, content)


def answer_from(start: int) -> Fault:
    """The bytes from `start` on, whatever was asked for."""
    return lambda handler, content: handler.answer(
        206, content[start:], Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}"
    )


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
    for start in range(0, len(content), CHUNK):
        piece = content[start : start + CHUNK]
        handler.write(b"%x\r\n%b\r\n" % (len(piece), piece))


def cut(handler: Handler, content: bytes) -> None:
    handler.answer(200, content[:CUT], length=len(content))


def stall(handler: Handler, content: bytes) -> None:
    cut(handler, content)
    time.sleep(0.4)


def sleep_first(handler: Handler, content: bytes) -> None:
    time.sleep(0.4)
    handler.answer(200, content)


def error_page(handler: Handler, content: bytes) -> None:
    handler.answer(200, PAGE)


def status(code: int) -> Fault:
    return lambda handler, content: handler.answer(code, b"sorry")


# Answers to HEAD


def answer_head(handler: Handler, content: bytes) -> None:
    handler.answer(200, b"", length=len(content))


def refuse_head(handler: Handler, content: bytes) -> None:
    handler.answer(405, b"")


def head_without_length(handler: Handler, content: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()


# What tests say about files


def remote(server: Server, folder: Path, name: str, content: bytes) -> RemoteFile:
    return RemoteFile(f"{server.url}/{name}", folder / name, Digest(digest(content)))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
