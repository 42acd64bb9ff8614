"""A decoder that dies or stalls takes its recording with it and nothing else."""

import io
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from pipeline.apart import Decoder
from pipeline.audio import AudioRules
from pipeline.schema import Recording

ROOM = 48 << 20
"""Bytes for a decoder to work with."""


def recording(name: str, seconds: float = 1.0) -> Recording:
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(0).normal(0, 0.1, int(seconds * 16_000)), 16_000, format="FLAC")
    return Recording("shard", 0, name, name, file.getvalue())


def test_a_recording_is_decoded_as_it_would_be_here() -> None:
    decoder = Decoder(AudioRules())
    try:
        found = list(decoder.segments(recording("a", seconds=70.0)))
    finally:
        decoder.close()
    assert len(found) > 1
    assert found[-1].last
    assert found[-1].total == 70 * 16_000


def test_a_crash_fails_its_recording_and_the_next_is_read() -> None:
    decoder = Decoder(AudioRules())
    try:
        list(decoder.segments(recording("before")))
        assert decoder._child is not None
        os.kill(decoder._child.process.pid, signal.SIGSEGV)
        (found,) = decoder.segments(recording("killer"))
        assert found.failure is not None
        assert (found.failure.kind, found.failure.message) == ("Crashed", "its decoder died (SIGSEGV)")
        assert [s.failure for s in decoder.segments(recording("after"))] == [None]
    finally:
        decoder.close()


def test_memory_that_runs_out_is_said_and_the_next_is_read() -> None:
    long = Recording("shard", 0, "long", "long", silence(seconds=1200))
    decoder = Decoder(AudioRules(cut="none"), memory=idle() + ROOM)
    try:
        (found,) = decoder.segments(long)
        assert found.failure is not None
        assert (found.failure.kind, found.failure.stage) == ("OutOfMemory", "audio")
        assert found.failure.message.endswith("GiB it may take")
        assert [s.failure for s in decoder.segments(recording("after"))] == [None]
    finally:
        decoder.close()


def idle() -> int:
    """Bytes that a decoder's process has before it decodes: each core of a machine adds some."""
    decoder = Decoder(AudioRules())
    try:
        list(decoder.segments(recording("any")))
        assert decoder._child is not None
        state = Path(f"/proc/{decoder._child.process.pid}/status").read_text()
    finally:
        decoder.close()
    return int(state.partition("VmData:")[2].split()[0]) << 10


def silence(seconds: int) -> bytes:
    """A small file that takes 64 kB of memory for each second."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(seconds * 16_000, np.float32), 16_000, format="FLAC")
    return file.getvalue()


def test_a_stall_is_stopped_when_its_time_is_up() -> None:
    before = threading.active_count()
    decoder = Decoder(AudioRules(patience_seconds=1.0, patience_seconds_per_megabyte=1e-9, most_patience_seconds=1.0))
    try:
        child = decoder._started()
        deadline = time.monotonic() + 20
        while "pipeline.apart" not in Path(f"/proc/{child.process.pid}/cmdline").read_text():
            assert time.monotonic() < deadline
        os.kill(child.process.pid, signal.SIGSTOP)
        (found,) = decoder.segments(recording("stalls"))
        assert found.failure is not None
        assert found.failure.kind == "TimedOut"
    finally:
        decoder.close()
    assert threading.active_count() <= before


def test_the_time_that_is_taken_by_those_who_hear_is_not_the_decoders() -> None:
    decoder = Decoder(AudioRules())
    try:
        list(decoder.segments(recording("before")))  # so that the child is there
        decoder.rules = AudioRules(patience_seconds=3.0, patience_seconds_per_megabyte=1e-9, most_patience_seconds=3.0)
        found = []
        for segment in decoder.segments(recording("long", seconds=150.0)):
            found.append(segment)
            time.sleep(3.5 if len(found) == 1 else 0)
    finally:
        decoder.close()
    assert [segment.failure for segment in found] == [None] * len(found)
    assert len(found) > 2 and found[-1].total == 150 * 16_000


def test_an_answer_that_was_not_heard_out_is_not_taken_for_the_next() -> None:
    decoder = Decoder(AudioRules())
    first, second = recording("a"), replace(recording("b"), ordinal=1)
    assert next(decoder.segments(first)).recording.ordinal == 0
    assert [segment.recording.ordinal for segment in decoder.segments(second)] == [1]
    decoder.close()
