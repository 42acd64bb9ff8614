"""The server that the watchers of `infra` ask."""

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest

from tests.infra.answering import Answers


@pytest.fixture
def answers() -> Iterator[tuple[type[Answers], str]]:
    class Fresh(Answers):
        jobs: dict[str, list[str]] = {}  # noqa: RUF012
        course = ["", "Initializing", "Running", "Complete"]  # noqa: RUF012
        asked: list[str] = []  # noqa: RUF012
        notice = False
        message = market = ""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Fresh)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Fresh, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
