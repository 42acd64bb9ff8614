"""How much of a recording is clipped: samples that stand at full scale, three or more in a row.

The table does not keep that, so the audio is decoded once more, from the plan, in whatever form it was given. Lossy
codecs bend the flat tops of what was clipped before them: there, this finds less than there is. Whoever asks decodes,
so audio that killed or stalled its reader in the run that wrote the table is left alone.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.apart import FALLEN
from pipeline.audio.deck import Deck, open_audio
from pipeline.audio.rules import AudioError, AudioRules
from pipeline.schema import Recording, Samples
from pipeline.sources import recordings

FULL = 1 - 1 / 256
"""Where a sample counts as full scale, of 1."""
RUN = 3
"""Samples in a row."""
RULES = AudioRules(16_000, "each", "none")
"""Only the limits of size are used: samples are counted as they are, before any resampling."""


@dataclass
class Tops:
    """Counts clipped samples of each channel, block by block."""

    clipped: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    frames: int = 0
    _before: npt.NDArray[np.bool_] | None = None
    """Whether the last frames of the block before stood at full scale."""

    def hear(self, block: Samples) -> None:
        """Count (frames, channels); a run over the border of two blocks counts in both."""
        full = np.abs(block) >= FULL
        before = np.zeros((0, full.shape[1]), bool) if self._before is None else self._before
        joined = np.concatenate([before, full])
        self.clipped = self.clipped + (_in_runs(joined).sum(0) - _in_runs(before).sum(0))
        self.frames += len(block)
        self._before = joined[-2 * RUN :]

    def shares(self) -> list[float]:
        """Of each channel."""
        return [float(count) / self.frames for count in self.clipped] if self.frames else []


def sorted_out(tables: Iterable[pa.Table]) -> tuple[set[str], int]:
    """The recordings of a shard that can do no harm, and how many rows it has of others."""
    every, deadly = set[str](), list[str]()
    for table in tables:
        every.update(table["recording_id"].to_pylist())
        kinds = pc.struct_field(table["error"], "class")
        deadly += table.filter(pc.is_in(kinds, pa.array(FALLEN)))["recording_id"].to_pylist()
    return every.difference(deadly), len(deadly)


def clipped(planned: pa.Table, wanted: Collection[str]) -> dict[str, list[float]]:
    """The share of each channel of every recording of a shard that is wanted and can be read."""
    return {recording.recording_id: shares for recording, shares in _heard(_among(planned, wanted)) if shares}


def share(channels: list[float] | None, channel: int | None) -> float | None:
    """Of one channel; of mixed channels, the worst."""
    if not channels:
        return None
    return max(channels) if channel is None else channels[channel] if channel < len(channels) else None


def _among(planned: pa.Table, wanted: Collection[str]) -> Iterator[Recording]:
    """Of a container, whose recordings are known when they are read, nothing behind the last that is wanted."""
    if not planned["recording_id"].null_count:
        planned = planned.filter(pc.is_in(planned["recording_id"], pa.array(wanted, pa.string())))
    left = set(wanted)
    for recording in recordings(planned) if left else ():
        if recording.recording_id in left:
            left.remove(recording.recording_id)
            yield recording
        if not left:
            return


def _heard(found: Iterable[Recording]) -> Iterable[tuple[Recording, list[float]]]:
    deck = Deck()
    for recording in found:
        yield recording, [] if recording.failure else _shares(recording, deck)


def _shares(recording: Recording, deck: Deck) -> list[float]:
    tops = Tops()
    try:
        with open_audio(recording, deck) as audio:
            for block in audio.blocks(RULES):
                tops.hear(block)
    except AudioError:  # the row of the table says why it cannot be read
        return []
    return tops.shares()


def _in_runs(full: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which of them belong to a run that is long enough: (frames, channels)."""
    kept = np.zeros_like(full)
    if len(full) < RUN:
        return kept
    runs = np.logical_and.reduce([full[at : len(full) - RUN + 1 + at] for at in range(RUN)])
    for at in range(RUN):
        kept[at : len(kept) - RUN + 1 + at] |= runs
    return kept
