"""Workers that take their time, as large models do, and write down what they did."""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow
import ray

LOADING, HEARING = 6.0, 3.0
"""Seconds that models take to load and, until everything has happened, to hear a batch."""
COMPANY = 60.0
"""Seconds that a model which is to load beside others waits for them: processes take their time on a busy machine."""
OVER = "over"
PAUSE, BESIDE = "pause", "beside"


@dataclass(frozen=True)
class Load:
    """A model that was loaded."""

    began: float
    ended: float
    node: str


@dataclass
class Diary:
    """What workers write down about themselves."""

    folder: Path

    def read(self) -> list[Load]:
        found = [json.loads(path.read_text()) for path in self.folder.glob("load-*") if path.stat().st_size]
        return sorted((Load(*each) for each in found), key=lambda load: load.began)

    def left(self) -> list[str]:
        """Nodes that a worker left when they drained."""
        return [path.read_text() for path in self.folder.glob("left-*")]

    def readers(self) -> list[str]:
        """The node of each reader that has read something."""
        return [path.read_text() for path in self.folder.glob("reader-*")]

    def pause(self, seconds: float) -> None:
        """How long readers are to wait before every shard."""
        self._say(PAUSE, seconds)

    def beside(self, models: int) -> None:
        """No model is to have loaded before so many have begun to, if others come at all."""
        self._say(BESIDE, models)

    def _say(self, what: str, number: float) -> None:
        (self.folder / "new").write_text(str(number))
        (self.folder / "new").replace(self.folder / what)


def slowly(folder: str) -> Callable[[], None]:
    """For each worker of the cluster: loading and hearing take their time and are written down."""

    def prepare() -> None:
        from pipeline import inference, leaving, reading

        load_model, call, kill = inference.load_model, inference.Listener.__call__, os.kill
        read = reading.Reader.__call__

        def told(what: str) -> float:
            said = Path(folder, what)
            return float(said.read_text()) if said.exists() else 0.0

        def load(*given: object, **named: object) -> object:
            began, node = time.time(), ray.get_runtime_context().get_node_id()
            Path(folder, f"begun-{os.getpid()}").touch()
            time.sleep(LOADING)
            while time.time() < began + COMPANY and len(list(Path(folder).glob("begun-*"))) < told(BESIDE):
                time.sleep(0.05)
            made = load_model(*given, **named)  # type: ignore[arg-type]
            Path(folder, f"load-{os.getpid()}").write_text(json.dumps([began, time.time(), node]))
            return made

        def hear(self: inference.Listener, batch: object) -> object:
            heard, until = call(self, batch), time.time() + HEARING
            while time.time() < until and not Path(folder, OVER).exists():
                time.sleep(0.05)
            return heard

        def slow(self: reading.Reader, work: pyarrow.Table) -> Iterator[pyarrow.Table]:
            Path(folder, f"reader-{os.getpid()}").write_text(ray.get_runtime_context().get_node_id())
            time.sleep(told(PAUSE))
            yield from read(self, work)

        def leave(process: int, number: int) -> None:
            Path(folder, f"left-{process}").write_text(ray.get_runtime_context().get_node_id())
            kill(process, number)

        inference.load_model = load  # type: ignore[assignment]
        inference.Listener.__call__ = hear  # type: ignore[assignment,method-assign]
        reading.Reader.__call__ = slow  # type: ignore[method-assign]
        leaving.end = leave

    return prepare
