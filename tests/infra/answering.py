"""A server that answers as Kubernetes does for one kind of object, and as a spot machine's metadata service."""

import json
import os
import socket
import struct
from http.server import BaseHTTPRequestHandler

RESET = struct.pack("ii", 1, 0)
"""A connection that is closed so is reset."""
TROUBLES = ("hangs up", "resets", "breaks off", "refuses and breaks off", "answers with a page", "answers with a list")
"""What a server does instead of answering."""
ENOUGH = 200
"""Questions after which every job has failed, so that nobody asks for ever."""


class Answers(BaseHTTPRequestHandler):
    """Kubernetes for one kind of object, and the machine's metadata, as far as they are asked here."""

    jobs: dict[str, list[str]]
    course: list[str]
    """The states that a new job will go through: KubeRay's, Ray's after a comma, or one of `TROUBLES`."""
    asked: list[str]
    notice: bool
    message: str
    market: str
    """One of `TROUBLES`, or none."""

    def do_POST(self) -> None:
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._denied():
            return
        name = f"{self.path}/{job['metadata']['name']}"
        if name in self.jobs:
            self._answer(409, {"reason": "AlreadyExists"})
        else:
            self.jobs[name] = list(self.course)
            self._answer(201, job)

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.endswith("instance-action"):
            self._answer(200 if self.notice and self.headers["X-aws-ec2-metadata-token"] == "ticket" else 404, {})
        elif not self._denied():
            states = self.jobs[self.path]
            state = states.pop(0) if len(states) > 1 else states[0]
            state = "Failed" if len(self.asked) > ENOUGH else state
            deployment, _, run = state.partition(", ")
            status = {"jobDeploymentStatus": deployment, "jobStatus": run, "message": self.message}
            if not self._troubled(state):
                self._answer(503 if state == "away" else 200, {"status": status})

    def do_PUT(self) -> None:
        if self._troubled(self.market):
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ticket")

    def _denied(self) -> bool:
        if self.headers["Authorization"] == "Bearer of-the-pod":
            return False
        self._answer(401, {"reason": "Unauthorized"})
        return True

    def _troubled(self, what: str) -> bool:
        if what == "resets":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            os.close(self.connection.detach())
        elif what in {"breaks off", "refuses and breaks off"}:
            self.send_response(500 if what.startswith("refuses") else 200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"{")
        elif what.startswith("answers"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"[]\n" if what.endswith("list") else b"<html>\n</html>\n")
        return what in TROUBLES

    def _answer(self, code: int, body: object) -> None:
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""
