"""Kaldi data folders: `wav.scp`, and where they are there `segments` and `text`.

A `wav.scp` may hold shell commands (`sph2pipe ... |`). They are data here: refused, one failed row each, never run.
"""

import re
from collections.abc import Iterator, Mapping

from pipeline.inputs.found import Found, PlanRules
from pipeline.inputs.lines import Line, lines, texts
from pipeline.inputs.nemo import seconds, unreadable
from pipeline.inputs.paths import exists, folder_of, resolve
from pipeline.inputs.rows import Json, Row, extra_of, key
from pipeline.inputs.spool import Spool
from pipeline.schema import Failure

FORM = "kaldi"
ANY = "-1"
"""No channel in particular."""
SIDES = {"utt2spk": "speaker", "utt2lang": "lang"}
"""Files of the folder that say more about an utterance, and what it is called here."""


def rows(found: Found) -> Iterator[tuple[str, Row]]:
    """Yield a row per segment, or per recording where the folder has no segments."""
    folder = folder_of(found.uri)
    told = {name: _spooled(f"{folder}/{name}") for name in ("text", *SIDES) if exists(f"{folder}/{name}")}
    if exists(f"{folder}/segments"):
        written = _segments(f"{folder}/segments", _spooled(found.uri), folder, found.rules)
    else:
        written = _recordings(found.uri, folder, found.rules)
    for row in written:
        yield FORM, _told(row, told)


def _spooled(uri: str) -> Spool:
    spool = Spool()
    for text in texts(uri):
        name, rest = _split(text)
        spool.add(key(name), f"{name} {rest}")
    return spool


def _split(text: str) -> tuple[str, str]:
    parts = text.strip().split(None, 1) or [""]
    return parts[0], parts[1] if len(parts) == 2 else ""


def _of(spool: Spool, name: str) -> str | None:
    """What a file says about a name; the first line, where there are several."""
    return next((rest for found, rest in map(_split, spool.find(key(name))) if found == name), None)


def _told(row: Row, told: Mapping[str, Spool]) -> Row:
    name = row.recording_id or ""
    values: dict[str, Json] = {label: _of(told[file], name) for file, label in SIDES.items() if file in told}
    filled = {label: value for label, value in values.items() if value is not None}
    return row._replace(reference=_of(told["text"], name) if "text" in told else None, extra=extra_of(filled, ()))


def _recordings(uri: str, folder: str, rules: PlanRules) -> Iterator[Row]:
    for line in lines(uri):
        name, written = ("", "") if line.failure else _split(line.text)
        place = line.failure or _place(written, folder, rules)
        yield unreadable(uri, line, place, name) if isinstance(place, Failure) else Row(name, place)


def _place(written: str, folder: str, rules: PlanRules) -> str | Failure:
    if re.search(r"\.ark:\d+(\[.*\])?$", written):
        return Failure("Unsupported", "plan", f"{written!r} points into a Kaldi archive, which is not read here")
    return resolve(written, folder, rules.roots)


def _segments(uri: str, recordings: Spool, folder: str, rules: PlanRules) -> Iterator[Row]:
    for line in lines(uri):
        row = _segment(line, recordings, folder, rules)
        yield unreadable(uri, line, row, _split(line.text)[0]) if isinstance(row, Failure) else row


def _segment(line: Line, recordings: Spool, folder: str, rules: PlanRules) -> Row | Failure:
    parts = line.text.split()
    if line.failure:
        return line.failure
    if len(parts) not in (4, 5):
        return Failure("BadLine", "plan", f"line {line.number} is not `utterance recording begin end`")
    begin, end = seconds(parts[2]), seconds("0" if parts[3] == "-1" else parts[3])
    if not isinstance(begin, float) or not isinstance(end, float) or (parts[3] != "-1" and end <= begin):
        return Failure("BadTime", "plan", f"line {line.number}: {parts[2]} to {parts[3]} is not a span of seconds")
    written = _of(recordings, parts[1])
    if written is None:
        return Failure("NotFound", "plan", f"line {line.number}: wav.scp has no recording {parts[1]!r}")
    place = _place(written, folder, rules)
    duration = None if parts[3] == "-1" else end - begin
    asked = parts[4] if len(parts) == 5 else ANY
    if not re.fullmatch(r"-1|[0-9]{1,3}", asked):
        return Failure("BadLine", "plan", f"line {line.number}: {asked!r} is not the number of a channel, from 0")
    channel = None if asked == ANY else int(asked)
    return (
        place if isinstance(place, Failure) else Row(parts[0], place, begin=begin, duration=duration, channel=channel)
    )
