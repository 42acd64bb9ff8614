"""The demo's corpus: held-out sentences in every form that people keep recordings in, and where each word is.

Every form gets sentences of its own; the truth of all of them lies beside.
"""

import io
import json
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.demo.encoding import encoded
from jobs.demo.grammar import held_out_sentences
from jobs.demo.keywords import KEYWORDS
from jobs.demo.recordings import heard
from jobs.demo.speech import (
    HELD_OUT_VARIANTS,
    SAMPLE_RATE,
    TRAINING_VARIANTS,
    Room,
    Samples,
    Utterance,
    Word,
    draw_manner,
    draw_room,
    record,
    run_on,
    studio,
)
from jobs.demo.truth import Truth, write_truth

LOOSE = {"flac": 14, "opus": 16, "mp3": 12, "wav": 4, "m4a": 12}
"""Recordings that are files of their own."""
IN_TAR, IN_TABLE, IN_MANIFEST = 36, 36, 20
ROUNDS = 2
CALL_TURNS, LONG_SENTENCES = 16, 90


class Studio:
    """Takes one sentence after another, all different."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng((seed, 1))
        self._texts = _different(held_out_sentences(seed))

    def take(self, *, like: Utterance | None = None, room: Room | None = None) -> tuple[Utterance, str]:
        """Record the next sentence, by the speaker of another if asked, and say what is hard about it."""
        variants = HELD_OUT_VARIANTS if self._random.random() < 0.5 else TRAINING_VARIANTS
        manner = like.manner if like else draw_manner(self._random, variants)
        room = room or draw_room(self._random)
        return record(next(self._texts), manner, room, self._random), _kind(room)

    def room(self) -> Room:
        """A room that several sentences share."""
        return studio(draw_room(self._random), before=0.2, after=0.5)

    def takes(self, count: int) -> list[tuple[Utterance, str]]:
        """Several."""
        return [self.take() for _ in range(count)]


def write_corpus(folder: Path, seed: int) -> list[Truth]:
    """Make the whole folder anew."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("loose", "broken", "shards", "table", "keywords", "manifest/audio"):
        (folder / name).mkdir(parents=True)
    studio = Studio(seed)
    truths = [
        *_loose(folder, studio),
        *_tar(folder, studio),
        *_table(folder, studio),
        *_manifest(folder, studio),
        *_call(folder, studio),
        *_long(folder, studio),
        *_keywords(folder, seed),
    ]
    _broken(folder)
    write_truth(folder, truths)
    return truths


def _different(texts: Iterator[str]) -> Iterator[str]:
    seen: set[str] = set()
    for text in texts:
        if text not in seen:
            seen.add(text)
            yield text


def _kind(room: Room) -> str:
    if room.reverberation:
        return "echo"
    return "noise" if room.noise_decibels < 30 else "clean"


def _known(name: str, file: str, content: bytes, take: tuple[Utterance, str]) -> Truth:
    """The truth of a recording of one voice, its times moved by what the encoder put before it."""
    utterance, kind = take
    decoded = heard(content)[0]
    delay = _delay(utterance.samples, decoded)
    words = _words(utterance.words, delay)
    return Truth(
        name, file, None, round(len(decoded) / SAMPLE_RATE, 3), utterance.text, words, utterance.manner.voice, kind
    )


def _words(words: Sequence[Word], delay: float) -> tuple[tuple[str, float, float], ...]:
    return tuple((word.text, round(word.start + delay, 3), round(word.end + delay, 3)) for word in words)


def _delay(before: Samples, after: Samples) -> float:
    """Seconds by which a recording came out later than it went in."""
    size = 1 << (len(before) + len(after)).bit_length()
    likeness = np.fft.irfft(np.fft.rfft(after, size) * np.conj(np.fft.rfft(before, size)), size)
    shift = int(likeness.argmax())
    return (shift - size if shift > size // 2 else shift) / SAMPLE_RATE


def _loose(folder: Path, studio: Studio) -> Iterator[Truth]:
    for form, count in LOOSE.items():
        for number, take in enumerate(studio.takes(count)):
            name = f"loose/{form}-{number:02d}.{form}"
            content = encoded(take[0].samples, SAMPLE_RATE, form)
            (folder / name).write_bytes(content)
            yield _known(name, name, content, take)


def _tar(folder: Path, studio: Studio) -> Iterator[Truth]:
    name = "shards/harbour-000000.tar"
    with tarfile.open(folder / name, "w") as tar:
        for number, take in enumerate(studio.takes(IN_TAR)):
            content = encoded(take[0].samples, SAMPLE_RATE, "opus")
            known = {"voice": take[0].manner.voice, "kind": take[1]}
            _add(tar, f"{number:04d}.opus", content)
            _add(tar, f"{number:04d}.txt", take[0].text.encode())
            _add(tar, f"{number:04d}.json", json.dumps(known).encode())
            yield _known(f"{name}/{number:04d}.opus", name, content, take)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _table(folder: Path, studio: Studio) -> Iterator[Truth]:
    name = "table/train-00000-of-00001.parquet"
    takes = studio.takes(IN_TABLE)
    contents = [encoded(take[0].samples, SAMPLE_RATE, "opus") for take in takes]
    paths = [f"harbour-{number:04d}.opus" for number in range(IN_TABLE)]
    sounds = [{"bytes": content, "path": path} for content, path in zip(contents, paths, strict=True)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    features = {"audio": {"_type": "Audio"}, "text": {"dtype": "string", "_type": "Value"}}
    table = pa.table({"audio": pa.array(sounds, kind), "text": [take[0].text for take in takes]})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, folder / name, compression="none")
    for path, content, take in zip(paths, contents, takes, strict=True):
        yield _known(f"{name}/{path}", name, content, take)


def _manifest(folder: Path, studio: Studio) -> Iterator[Truth]:
    lines = []
    for number, take in enumerate(studio.takes(IN_MANIFEST)):
        name = f"manifest/audio/{number:04d}.opus"
        content = encoded(take[0].samples, SAMPLE_RATE, "opus")
        (folder / name).write_bytes(content)
        known = _known(name, name, content, take)
        line = {"audio_filepath": f"audio/{number:04d}.opus", "duration": known.seconds, "text": known.text}
        lines.append(json.dumps(line))
        yield known
    (folder / "manifest" / "manifest.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _call(folder: Path, studio: Studio) -> Iterator[Truth]:
    """Two people who speak by turns, one on each channel."""
    name = "loose/call.flac"
    sides: tuple[list[Utterance], list[Utterance]] = ([], [])
    rooms = studio.room(), studio.room()
    speakers = tuple(studio.take(room=room)[0] for room in rooms)
    for turn in range(CALL_TURNS):
        mine, other = turn % 2, 1 - turn % 2
        take, _ = studio.take(like=speakers[mine], room=rooms[mine])
        sides[mine].append(take)
        hush = np.zeros(len(take.samples), np.float32)
        sides[other].append(replace(speakers[other], samples=hush, text="", words=()))
    said = [run_on(side) for side in sides]
    (folder / name).write_bytes(encoded(np.stack([side.samples for side in said], 1), SAMPLE_RATE, "flac"))
    for channel, side in enumerate(said):
        seconds, words = round(len(side.samples) / SAMPLE_RATE, 3), _words(side.words, 0.0)
        yield Truth(f"{name}#{channel}", name, channel, seconds, side.text, words, side.manner.voice, "call")


def _long(folder: Path, studio: Studio) -> Iterator[Truth]:
    name = "loose/harbour-diary.opus"
    room = studio.room()
    takes = [studio.take(room=room)[0]]
    takes += [studio.take(like=takes[0], room=room)[0] for _ in range(LONG_SENTENCES - 1)]
    diary = run_on(takes)
    content = encoded(diary.samples, SAMPLE_RATE, "opus")
    (folder / name).write_bytes(content)
    yield _known(name, name, content, (diary, "long"))


def _keywords(folder: Path, seed: int) -> Iterator[Truth]:
    """Single words for the classifier, by voices that it has not heard."""
    random = np.random.default_rng((seed, 2))
    for number, word in enumerate(KEYWORDS * ROUNDS):
        name = f"keywords/{number:02d}-{word}.opus"
        room = draw_room(random)
        take = record(word, draw_manner(random, HELD_OUT_VARIANTS), room, random), "keyword"
        content = encoded(take[0].samples, SAMPLE_RATE, "opus")
        (folder / name).write_bytes(content)
        yield _known(name, name, content, take)


def _broken(folder: Path) -> None:
    """What a run must survive: each becomes a row that says why."""
    whole = (folder / "loose" / "wav-00.wav").read_bytes()
    (folder / "broken" / "truncated.wav").write_bytes(whole[: len(whole) // 3])
    (folder / "broken" / "letter.flac").write_text("Dear harbour master, the recording is in the other envelope.\n")
    (folder / "broken" / "empty.flac").write_bytes(b"")
