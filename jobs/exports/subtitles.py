"""SRT and WebVTT: what was said, in pieces that can be read from a screen.

A segment is split at words. SRT has no way to spell an arrow inside a text: `-->` becomes `->` there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobs.exports.spoken import Spoken, Stretch, Word, shared


@dataclass(frozen=True)
class Layout:
    """What fits on the screen."""

    letters: int = 42
    """Of a line."""
    lines: int = 2
    seconds: float = 7.0
    """That a subtitle stays, unless one word takes longer."""


@dataclass(frozen=True)
class Cue:
    """One subtitle."""

    begin: int
    """Milliseconds."""
    end: int
    """Milliseconds, after the beginning."""
    channel: int | None
    lines: tuple[str, ...]


def srt(recording: Spoken, layout: Layout) -> str:
    """SubRip; where there are several channels, each subtitle begins with its own."""
    several, blocks = len(recording.voices) > 1, []
    widest = max(len(f"[{voice.channel}] ") for voice in recording.voices) if several else 0
    for number, cue in enumerate(_cues(recording, layout, widest), 1):
        text = "\n".join(cue.lines).replace("-->", "->")
        mark = f"[{cue.channel}] " if several else ""
        blocks.append(f"{number}\n{_clock(cue.begin, ',')} --> {_clock(cue.end, ',')}\n{mark}{text}\n")
    return "\n".join(blocks)


def vtt(recording: Spoken, layout: Layout) -> str:
    """WebVTT; where there are several channels, each is a voice."""
    several, blocks = len(recording.voices) > 1, ["WEBVTT\n"]
    for cue in _cues(recording, layout, 0):
        text = "\n".join(cue.lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        voice = f"<v Channel {cue.channel}>" if several else ""
        blocks.append(f"{_clock(cue.begin, '.')} --> {_clock(cue.end, '.')}\n{voice}{text}\n")
    return "\n".join(blocks)


def _cues(recording: Spoken, layout: Layout, mark: int) -> list[Cue]:
    """In the order of their beginnings; `mark` letters are kept free on the first line."""
    found = [
        Cue(*_milliseconds(words), voice.channel, tuple(_lines(words, layout.letters, mark)))
        for voice in recording.voices
        for stretch in voice.stretches
        for words in _split(stretch, layout, mark)
    ]
    return sorted(found, key=lambda cue: cue.begin)


def _split(stretch: Stretch, layout: Layout, mark: int) -> Iterator[list[Word]]:
    waiting: list[Word] = []
    for word in _fitting(stretch.words, layout.letters - mark):
        longer = [*waiting, word]
        too_long = word.end - longer[0].start > layout.seconds
        if waiting and (too_long or len(_lines(longer, layout.letters, mark)) > layout.lines):
            yield waiting
            longer = [word]
        waiting = longer
    if waiting:
        yield waiting


def _fitting(words: Sequence[Word], letters: int) -> Iterator[Word]:
    """A word that is longer than a line is cut: some scripts have no spaces."""
    for word in words:
        parts = [word.text[at : at + letters] for at in range(0, len(word.text), letters)]
        yield from [word] if len(parts) == 1 else shared(parts, word.start, word.end)


def _lines(words: Sequence[Word], letters: int, mark: int) -> list[str]:
    lines = [""]
    for word in words:
        room = letters - (mark if len(lines) == 1 else 0)
        longer = f"{lines[-1]} {word.text}".lstrip()
        if lines[-1] and len(longer) > room:
            lines.append(word.text)
        else:
            lines[-1] = longer
    return lines


def _milliseconds(words: Sequence[Word]) -> tuple[int, int]:
    begin = round(1000 * words[0].start)
    return begin, max(begin + 1, round(1000 * words[-1].end))


def _clock(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{rest:03}"
