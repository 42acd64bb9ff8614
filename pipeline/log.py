"""What happens in a run, one record an event; who runs it says where records go and what they look like.

Credentials are blacked out where a record becomes text, and what commands a terminal is spelled out, so no caller has
to think of it.
"""

import json
import logging
import unicodedata
from contextvars import ContextVar
from datetime import UTC, datetime

from pipeline.storage import scrub

LOG = logging.getLogger("stenopool")
LOG.addHandler(logging.NullHandler())
LOG.propagate = False
RUN: ContextVar[str] = ContextVar("run", default="")
"""The run that this process drives."""
NOTICE = logging.WARNING + 5
"""Of what a person should know who does not read every event."""
STEP = logging.INFO + 5
"""Of what a job is at before it has figures to show: progress shows it in place."""
logging.addLevelName(NOTICE, "NOTICE")
logging.addLevelName(STEP, "STEP")
SHARD, RECORDING = "shard", "recording"


def tell(message: str, *, shard: str = "", recording: str = "", level: int = logging.INFO) -> None:
    """Record an event, with what it is about."""
    LOG.log(level, "%s", message, extra={SHARD: shard, RECORDING: recording})


class Plain(logging.Formatter):
    """A record as a person reads it."""

    def format(self, record: logging.LogRecord) -> str:
        """On a line that says who speaks, or on several where it was told in several."""
        return "\n".join(map(visible, f"steno: {scrub(record.getMessage())}".split("\n")))


def visible(text: str) -> str:
    """A text on one line, in which nothing commands a terminal."""
    return "".join(letter if _harmless(letter) else letter.encode("unicode_escape").decode() for letter in text)


def _harmless(letter: str) -> bool:
    return unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp") and letter not in "\u202a\u202b\u202d\u202e"


class Json(logging.Formatter):
    """A record as a program reads it."""

    def format(self, record: logging.LogRecord) -> str:
        """An object on a line; what a record is not about is left out."""
        about = {"run": RUN.get(), SHARD: getattr(record, SHARD, ""), RECORDING: getattr(record, RECORDING, "")}
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **{name: value for name, value in about.items() if value},
        }
        return json.dumps({name: scrub(value) for name, value in fields.items()}, ensure_ascii=False)
