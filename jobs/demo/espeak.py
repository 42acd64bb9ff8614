"""espeak-ng, by its C library: speech whose words and sounds are known to the sample.

The library is one machine with one voice at a time; a process has one of it, and one thread may speak. Some voices
flutter, and go on fluttering where they stopped: the same is said in the same way only by processes that said the same
before.
"""

import ctypes
import ctypes.util
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 22_050

_SYNCHRONOUS, _PHONEME_EVENTS, _UTF8 = 2, 1, 1
_WORD, _END, _PHONEME = 1, 5, 7
_RATE, _PITCH, _RANGE, _GAP = 1, 3, 4, 7


class EspeakError(RuntimeError):
    """Speech that could not be made, in one sentence."""


@dataclass(frozen=True)
class Manner:
    """How a sentence is spoken."""

    voice: str
    """A language and a variant, as `espeak-ng -v` takes them: en-us+f3."""
    words_per_minute: int = 165
    """Pace; 80 to 450."""
    pitch: int = 50
    """0 to 100."""
    pitch_range: int = 50
    """0 to 100: monotonous to lively."""
    gap: int = 0
    """Pause between words, in tens of milliseconds."""


@dataclass(frozen=True)
class Sound:
    """A word or a phoneme and where it is heard, in samples."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Spoken:
    """A sentence as sound."""

    samples: npt.NDArray[np.int16]
    words: tuple[Sound, ...]
    phonemes: tuple[Sound, ...]
    """Pauses left out."""


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("milliseconds", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user", ctypes.c_void_p),
        ("id", _Id),
    )


@dataclass(frozen=True)
class _Mark:
    """One event that matters here."""

    type: int
    position: int
    """Of the word in the text, counted from 0."""
    sample: int
    name: str


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))


class Espeak:
    """The library, started."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1"
        try:
            self._library = ctypes.CDLL(name)
        except OSError as error:
            raise EspeakError(
                "espeak-ng is not installed, and the demo's speech is made with it: `apt-get install espeak-ng`, "
                "`brew install espeak-ng` (what ships with the project needs no speech to be made)"
            ) from error
        if self._library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS) != SAMPLE_RATE:
            raise EspeakError(f"espeak-ng does not speak at {SAMPLE_RATE} samples a second: is its data installed?")
        self._tape: list[bytes] = []
        self._marks: list[_Mark] = []
        self._callback = _Callback(self._heard)  # kept, or the library would call into freed memory
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, manner: Manner) -> Spoken:
        """Speak lower-case words separated by single spaces."""
        self._set(manner)
        self._tape.clear()
        self._marks.clear()
        letters = text.encode()
        ctypes.CDLL(None).srand(zlib.crc32(letters))  # or breath would sound otherwise every time
        failed = self._library.espeak_Synth(letters, len(letters) + 1, 0, 1, 0, _UTF8, None, None)
        if failed or not self._tape:
            raise EspeakError(f"espeak-ng could not say {text!r} as {manner.voice}")
        samples = np.frombuffer(b"".join(self._tape), np.int16)
        return Spoken(samples, _words(text, self._marks), tuple(_phonemes(self._marks)))

    def _set(self, manner: Manner) -> None:
        if self._library.espeak_SetVoiceByName(manner.voice.encode()):
            raise EspeakError(f"espeak-ng has no voice {manner.voice}: `espeak-ng --voices=variant` lists variants")
        values = {
            _RATE: manner.words_per_minute,
            _PITCH: manner.pitch,
            _RANGE: manner.pitch_range,
            _GAP: manner.gap,
        }
        for parameter, value in values.items():
            self._library.espeak_SetParameter(parameter, value, 0)

    def _heard(self, wave: int | None, count: int, events: "ctypes._Pointer[_Event]") -> int:
        if wave and count > 0:
            self._tape.append(ctypes.string_at(wave, 2 * count))
        index = 0
        while events[index].type:
            self._note(events[index])
            index += 1
        return 0

    def _note(self, event: _Event) -> None:
        if event.type in (_WORD, _END, _PHONEME):
            name = event.id.string.decode() if event.type == _PHONEME else ""
            self._marks.append(_Mark(event.type, event.position - 1, event.sample, name))


_FIRST_PHONEME = {"the": "D", "not": "n"}
"""Of words that espeak-ng runs together with the one before."""


@cache
def espeak() -> Espeak:
    """The one of each process."""
    return Espeak()


def _phonemes(marks: Sequence[_Mark]) -> list[Sound]:
    """A phoneme lasts until whatever comes next."""
    pairs = zip(marks, [*marks[1:], marks[-1]], strict=True)
    return [
        Sound(mark.name, mark.sample, after.sample)
        for mark, after in pairs
        if mark.type == _PHONEME and not mark.name.startswith("_")
    ]


def _words(text: str, marks: Sequence[_Mark]) -> tuple[Sound, ...]:
    """Where each word of the text is heard: from its own mark to its last phoneme's end."""
    starts = _starts(text, marks)
    ends = [*(start for _, start in starts[1:]), marks[-1].sample]
    pauses = [mark.sample for mark in marks if mark.type == _PHONEME and mark.name.startswith("_")]
    return tuple(
        Sound(word, start, min([pause for pause in pauses if pause > start] + [end]))
        for (word, start), end in zip(starts, ends, strict=True)
    )


def _starts(text: str, marks: Sequence[_Mark]) -> list[tuple[str, int]]:
    """espeak-ng says some pairs (of the, in the, for a) as one word: there the second begins at its own phoneme."""
    marked = {mark.position: mark.sample for mark in marks if mark.type == _WORD}
    starts: list[tuple[str, int]] = []
    position = 0
    for word in text.split(" "):
        start = marked.get(position)
        if start is None:
            start = _inside(word, starts[-1][1] if starts else 0, marks)
        starts.append((word, start))
        position += len(word) + 1
    return starts


def _inside(word: str, after: int, marks: Sequence[_Mark]) -> int:
    """The start of a word that was run together with the one before it."""
    later = [mark for mark in marks if mark.sample > after]
    group = later[: next((i for i, mark in enumerate(later) if mark.type != _PHONEME), len(later))]
    if not group:
        raise EspeakError(f"espeak-ng ran {word!r} together with the word before it, and left no trace of it")
    found = [mark for mark in group if mark.name.startswith(_FIRST_PHONEME.get(word, "?"))]
    return (found or group)[-1].sample
