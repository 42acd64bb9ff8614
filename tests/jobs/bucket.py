"""A bucket that grows, changes and loses files from day to day, and what a table of it must hold."""

import io
import os
import random
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from models import SpeechModel
from models.protocol import Refused
from pipeline.storage import Store

RATE = 16_000
Heard = tuple[int, str | None]
"""Samples and text of a recording."""
BROKEN: Heard = (0, None)
"""What cannot be read."""


@dataclass
class Bucket:
    """What lies there, and what a table of it must hold."""

    store: Store
    chance: random.Random
    model: SpeechModel
    truth: dict[str, Heard] = field(default_factory=dict)
    """The newest version of everything that ever lay there, by the last part of its name."""
    listed: dict[str, Heard] = field(default_factory=dict)
    """The same, at the end of the last run."""
    versions: int = 0

    def day(self) -> None:
        """New files, one late, one half written; one is changed, one mended, one deleted; the tar is packed anew."""
        there = sorted(Path(entry.uri).stem for entry in self.store.names() if entry.uri.endswith(".wav"))
        broken = [name for name in there if self.truth[name] == BROKEN]
        for name in [*self.chance.sample(there, min(1, len(there))), *broken]:
            self.speak(name)
        if len(there) > 3:
            self.lose(self.chance.choice(there))
        for _ in range(2):
            self.speak(f"new{self.versions}")
        self.late()
        self.half(f"half{self.versions}")
        if self.chance.random() < 0.7:
            self.pack()

    def lose(self, name: str) -> None:
        """A file is deleted: what was read of it stays, and a version that no run has seen was never there."""
        self.store.delete(f"{name}.wav")
        del self.truth[name]
        if name in self.listed:
            self.truth[name] = self.listed[name]

    def late(self) -> None:
        """A file that is listed before, and on a disk is older than, all that was planned."""
        name = f"00late{self.versions}"
        self.speak(name)
        if Path(self.store.url).is_dir():
            os.utime(Path(self.store.url, f"{name}.wav"), (1_000_000_000, 1_000_000_000))

    def speak(self, name: str) -> None:
        """A recording, or its next version."""
        self.store.put(f"{name}.wav", self.noise(name))

    def half(self, name: str) -> None:
        """An upload that is not finished."""
        self.store.put(f"{name}.wav", b"RIFF")
        self.truth[name], self.versions = BROKEN, self.versions + 1

    def pack(self) -> None:
        """A tar of three calls, all in a new version."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for number in range(3):
                sound = self.noise(f"call{number}")
                member = tarfile.TarInfo(f"call{number}.wav")
                member.size = len(sound)
                tar.addfile(member, io.BytesIO(sound))
        self.store.put("calls.tar", packed.getvalue())

    def noise(self, name: str) -> bytes:
        """As long as nothing before it."""
        self.versions += 1
        file, samples = io.BytesIO(), RATE // 2 + 16 * self.versions
        soundfile.write(file, np.random.default_rng(self.versions).normal(0, 0.1, samples), RATE, format="WAV")
        said, _ = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")
        (alone,) = self.model.transcribe([said])
        assert not isinstance(alone, Refused)
        self.truth[name] = samples, alone.text
        return file.getvalue()
