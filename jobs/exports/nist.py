"""CTM and RTTM, the formats of NIST's scorers: fields between spaces, a line for each word or each stretch of speech.

A space inside an id is spelled `%20`, as in a URL; inside a word it becomes `_`. Channels count from 1 there.
"""

from collections.abc import Iterator

from jobs.exports.spoken import Spoken, Voice, Word


def ctm(recording: Spoken) -> str:
    """A line for each word whose time the model gave: file, channel, start, length, word, confidence."""
    return "".join(
        f"{_field(recording.recording_id)} {_channel(voice)} {_times(word.start, word.end)} {_rest(word)}\n"
        for voice in recording.voices
        for word in _words(voice)
    )


def rttm(recording: Spoken) -> str:
    """A line for each stretch of speech of each channel; the speakers are called after their channels."""
    name = _field(recording.recording_id)
    return "".join(
        f"SPEAKER {name} {number} {_times(part.start, part.end)} <NA> <NA> channel{number} <NA> <NA>\n"
        for number, voice in ((_channel(voice), voice) for voice in recording.voices)
        for part in voice.stretches
        if round(1000 * part.end) > round(1000 * part.start)
    )


def _words(voice: Voice) -> Iterator[Word]:
    yield from (word for stretch in voice.stretches for word in stretch.words if word.heard)


def _channel(voice: Voice) -> int:
    return (voice.channel or 0) + 1


def _times(start: float, end: float) -> str:
    """Start and length, whose sum is the end as it would be rounded itself."""
    begin = round(1000 * start)
    return f"{begin / 1000:.3f} {(round(1000 * end) - begin) / 1000:.3f}"


def _rest(word: Word) -> str:
    said = word.text.replace(" ", "_")
    return said if word.confidence is None else f"{said} {word.confidence:.4f}"


def _field(text: str) -> str:
    """One field, and no comment: lines that begin with `;;` are."""
    return "".join(
        letter if letter.isprintable() and letter not in " %;" else "".join(f"%{byte:02X}" for byte in letter.encode())
        for letter in text
    )
