"""Decode recordings in a process of their own, so that one that kills or stalls its decoder harms nobody.

For the second look at what was open when a worker died. The child is started anew after each death: half a second,
which only the guilty cost.
"""

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from pipeline.audio import AudioRules, segments
from pipeline.schema import Failure, Recording, Segment
from pipeline.storage import StoreError

STAGE = "audio"
FALLEN = ("Crashed", "TimedOut", "OutOfMemory")
"""The errors of recordings that took their decoder, or whoever else had them in hand, with them."""
MEMORY = 8 << 30
"""Bytes that a decoder's process may take."""


class Decoder:
    """A child process that decodes one recording after the other."""

    def __init__(self, rules: AudioRules, memory: int = MEMORY) -> None:
        self.rules, self.memory = rules, memory
        self._child: _Child | None = None
        self._answering = False

    def segments(self, recording: Recording) -> Iterator[Segment]:
        """What `audio.segments` yields, or one failed segment where the child died or ran out of time."""
        if self._answering:  # whoever asked last has not heard it out: the rest is no answer to this
            self.close()
        child, seconds = self._started(), self.rules.seconds_limit(recording)
        self._answering = True
        try:
            child.pipe.send((recording, self.rules))
            yield from child.answers(seconds)
            self._answering = False
        except TimeoutError:
            yield self._fallen(recording, "TimedOut", f"its decoder was stopped after {seconds:.0f} seconds")
        except MemoryError:
            room = f"{self.memory / (1 << 30):.3g} GiB"
            yield self._fallen(recording, "OutOfMemory", f"its decoder wants more memory than the {room} it may take")
        except (EOFError, ConnectionError):
            yield self._fallen(recording, "Crashed", f"its decoder died ({_cause(child.process.wait())})")

    def close(self) -> None:
        """Stop the child."""
        if self._child is not None:
            self._child.process.kill()
            self._child.process.wait()
            self._child.pipe.close()
            self._child = None
        self._answering = False

    def _started(self) -> "_Child":
        if self._child is None:
            self._child = _Child(self.memory)
        return self._child

    def _fallen(self, recording: Recording, kind: str, message: str) -> Segment:
        self.close()
        bare = replace(recording, audio=None, failure=Failure(kind, STAGE, message))
        return next(iter(segments(bare, self.rules)))


class _Child:
    """The process, and the pipe to it."""

    def __init__(self, memory: int) -> None:
        self.pipe, theirs = Pipe()
        command = [sys.executable, "-m", "pipeline.apart", str(theirs.fileno()), str(memory)]
        self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)  # noqa: S603
        theirs.close()

    def answers(self, seconds: float) -> Iterator[Segment]:
        """Yield a recording's segments, waiting so long for all together. What is done between two does not count."""
        while True:
            began = time.monotonic()
            answer = self._answer(seconds)
            seconds -= time.monotonic() - began
            if answer is None:
                return
            yield answer

    def _answer(self, seconds: float) -> Segment | None:
        """The next segment, or None at the recording's end."""
        if not self.pipe.poll(max(0.0, seconds)):
            raise TimeoutError
        answer: Segment | StoreError | MemoryError | None = self.pipe.recv()
        if isinstance(answer, StoreError | MemoryError):
            raise answer
        return answer


def _cause(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def main() -> None:
    """Answer questions until there are none, or memory runs out."""
    memory = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    pipe: Connection = Connection(int(sys.argv[1]))
    try:
        _answer(pipe)
    except MemoryError:
        pipe.send(MemoryError())


def _answer(pipe: Connection) -> None:
    while True:
        try:
            recording, rules = pipe.recv()
        except (EOFError, ConnectionError):  # whoever asks is gone
            return
        try:
            for segment in segments(recording, rules):
                pipe.send(segment)
            pipe.send(None)
        except StoreError as error:  # an outage, which the parent's parent should know of
            pipe.send(error)


if __name__ == "__main__":
    main()
