"""JSON and CSV: WhisperX's file of a recording, a line of a NeMo manifest, a line of a table.

A NeMo manifest's `text` is what the model read: that is what a training or a scoring with it expects. What the input
says was said is beside it as `reference`. It names files: of what lies inside a tar or a Parquet file it says nothing.

A cell of the CSV file is what the table holds, letter by letter: no NUL is dropped, and no quote is put before what a
spreadsheet would take for a formula (`=`, `+`, `-`, `@`), as that would be another text to whoever scores it.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import cast

import pyarrow as pa

from jobs.exports.spoken import Spoken, Stretch, Voice, Word

CELLS = (
    *("recording_id", "uri", "channel", "seconds", "status", "text", "confidence", "language"),
    *("reference", "wer", "cer", "ctc_loss", "error_class", "error_message"),
)
"""Columns of the CSV file."""


def whisperx(recording: Spoken) -> str:
    """Segments with words, all words once more, and the language; of several channels, each is a speaker."""
    named = len(recording.voices) > 1
    speakers = [{"speaker": f"channel {voice.channel}"} if named else {} for voice in recording.voices]
    parts = [
        _segment(part, speaker)
        for voice, speaker in zip(recording.voices, speakers, strict=True)
        for part in voice.stretches
    ]
    parts.sort(key=lambda part: cast("float", part["start"]))
    words = [word for part in parts for word in cast("list[object]", part["words"])]
    language = next((voice.language for voice in recording.voices if voice.language), None)
    return _json({"segments": parts, "word_segments": words, "language": language})


def nemo(recording: Spoken) -> str:
    """A line for each voice that said something or nothing; `offset` where the recording is a part of a file.

    Where channels were read apart, `channel` says whose line it is: NeMo must be told to take that one.
    """
    if recording.inside:
        return ""
    return "".join(f"{_json(_entry(recording, voice))}\n" for voice in recording.voices)


def csv_head() -> str:
    """The line of names."""
    return _cells([CELLS])


def csv_lines(table: pa.Table) -> str:
    """A line for each row, also of what failed."""
    return _cells([_flat(row) for row in table.to_pylist()])


def _segment(part: Stretch, speaker: Mapping[str, str]) -> dict[str, object]:
    words = [{**_word(word), **speaker} for word in part.words] if part.timed else []
    return {"start": part.start, "end": part.end, "text": part.text, "words": words, **speaker}


def _word(word: Word) -> dict[str, object]:
    score = {} if word.confidence is None or not word.heard else {"score": round(word.confidence, 4)}
    return {"word": word.text, "start": word.start, "end": word.end, **score}


def _entry(recording: Spoken, voice: Voice) -> dict[str, object]:
    entry: dict[str, object] = {"audio_filepath": recording.uri, "duration": recording.seconds, "text": voice.text}
    optional = {
        "offset": recording.begin,
        "recording_id": recording.recording_id,
        "channel": voice.channel,
        "lang": voice.language,
        "reference": voice.reference,
    }
    return entry | {name: value for name, value in optional.items() if value is not None}


def _flat(row: Mapping[str, object]) -> list[object]:
    error = cast("Mapping[str, object]", row["error"] or {})
    told = {**row, "error_class": error.get("class"), "error_message": error.get("message")}
    return [told[name] for name in CELLS]


def _cells(rows: Iterable[Iterable[object]]) -> str:
    return "".join(map(_line, rows))


def _line(cells: Iterable[object]) -> str:
    """Before Python 3.13 only what is in the terminator is quoted, and a lone carriage return ends a line, too."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
