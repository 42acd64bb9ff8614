"""A bad connection: a small proxy between a client and an S3 server that fails as it is told.

Each fault is used up by one request of its method:

    503        the server is busy; nothing was done
    reset      the connection breaks before the request arrives
    dropped    the request is carried out, and its answer is lost
    truncated  half of the answer's body comes, then the connection ends
    delayed    the answer's body comes in two halves with a pause
"""

import http.client
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

BUSY = b"<?xml version='1.0'?><Error><Code>ServiceUnavailable</Code><Message>busy</Message></Error>"
PAUSE = 0.3
OWN = {"connection", "transfer-encoding", "content-length", "keep-alive"}


@dataclass
class Faults:
    """What is to go wrong, and what went through."""

    planned: deque[tuple[str, str]] = field(default_factory=deque)
    """Method and fault, in order."""
    forever: str | None = None
    """A fault that every request meets."""
    chance: Callable[[], str | None] = lambda: None
    """The fault, if any, of a request that none is planned for."""
    used: list[str] = field(default_factory=list)
    """The faults that were met."""

    def meet(self, method: str) -> str | None:
        """The fault of this request."""
        found = self.forever or self.chance()
        if self.planned and self.planned[0][0] == method:
            found = self.planned.popleft()[1]
        if found is not None:
            self.used.append(found)
        return found


@contextmanager
def proxy(server: str) -> Iterator[tuple[str, Faults]]:
    """A proxy before `server`: its address, and the faults to plan."""
    faults = Faults()
    handler = type("Handler", (Relay,), {"server_address": urlsplit(server), "faults": faults})
    relay = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    relay.daemon_threads = True
    threading.Thread(target=relay.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{relay.server_port}", faults
    finally:
        relay.shutdown()
        relay.server_close()


class Relay(BaseHTTPRequestHandler):
    """Pass a request on, and its answer back, with the fault that it meets."""

    protocol_version = "HTTP/1.1"
    server_address: "urlsplit"
    faults: Faults

    def relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.faults.meet(self.command)
        if fault == "503":
            self.answer(503, [("Content-Type", "application/xml")], BUSY)
        elif fault == "reset":
            self.cut()
        else:
            status, headers, payload = self.ask(body)
            if fault == "dropped":
                self.cut()
            else:
                self.answer(status, headers, payload, fault)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = relay

    def ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """The server's answer; the headers go on unchanged, since they are signed."""
        link = http.client.HTTPConnection(self.server_address.hostname, self.server_address.port, timeout=30)
        link.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in {"connection", "expect"}:
                link.putheader(name, value)
        link.endheaders(body)
        reply = link.getresponse()
        return reply.status, reply.getheaders(), reply.read()

    def answer(self, status: int, headers: list[tuple[str, str]], payload: bytes, fault: str | None = None) -> None:
        """Send it, whole, late or in part."""
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in OWN:
                self.send_header(name, value)
        stated = {name.lower(): value for name, value in headers}.get("content-length", str(len(payload)))
        self.send_header("Content-Length", stated if self.command == "HEAD" else str(len(payload)))
        self.end_headers()
        half = len(payload) // 2
        self.wfile.write(payload[:half])
        if fault == "truncated":
            self.cut()
            return
        if fault == "delayed":
            self.wfile.flush()
            time.sleep(PAUSE)
        self.wfile.write(payload[half:])

    def cut(self) -> None:
        """End the connection as a crashed machine does."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_RDWR) if self.command == "HEAD" else self.connection.close()
        self.close_connection = True

    def finish(self) -> None:
        """Nothing is left to say on a connection that was cut."""
        if not self.wfile.closed and self.connection.fileno() >= 0:
            super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""
