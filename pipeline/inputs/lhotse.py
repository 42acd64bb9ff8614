"""Lhotse cuts (JSON lines), and Shar: numbered files of cuts, each with a tar of its audio.

A mixed or padded cut is made of several recordings, and the times of one that was sped up are not those of its file:
such a cut is a failed row. So is one of some of a recording's channels: one of them is heard, or all.
"""

import json
from collections.abc import Iterator, Mapping

from pipeline.inputs.found import Found, PlanRules
from pipeline.inputs.lines import Line, fields, lines
from pipeline.inputs.nemo import seconds, unreadable
from pipeline.inputs.paths import first_entry, folder_of, name_of, resolve
from pipeline.inputs.rows import Json, Row, extra_of, is_text, readable
from pipeline.schema import Failure

FORM, SHAR = "lhotse", "shar"
CHANNELS = 1024
"""More channels than any audio has."""
IN_TIME = ("Resample", "Volume", "LoudnessNormalization", "DereverbWPE", "ReverbWithImpulseResponse")
"""What may be done to a recording when it is loaded and leaves every sound in its place: it is heard without."""
KNOWN = ("id", "start", "duration", "channel", "recording", "type", "supervisions")


def rows(found: Found) -> Iterator[tuple[str, Row]]:
    """Yield a row per cut."""
    for line in lines(found.uri):
        cut = fields(line)
        row = cut if isinstance(cut, Failure) else _row(line, cut, found.uri, found.rules)
        yield FORM, _refused(found.uri, line, row, cut) if isinstance(row, Failure) else row


def _refused(uri: str, line: Line, failure: Failure, cut: Mapping[str, Json] | Failure) -> Row:
    """The failed row of a cut; of one that can be read with what else it says."""
    row = unreadable(uri, line, failure, _id(cut))
    reference, extra = (None, None) if isinstance(cut, Failure) else told(cut)
    return row._replace(reference=reference, extra=extra)


def shar_rows(found: Found) -> Iterator[tuple[str, Row]]:
    """Yield a container per file of cuts: its tar, and in `extra` where the cuts are."""
    cuts = [entry for entry in found.entries if is_shar(name_of(entry.uri))]
    for entry in cuts:
        name = name_of(entry.uri).removeprefix("cuts.").removesuffix(".gz").removesuffix(".jsonl")
        tar = f"{folder_of(entry.uri)}/recording.{name}.tar"
        state = first_entry(tar)
        inside = {"prefix": f"{name_of(folder_of(entry.uri))}/{name}", "cuts": entry.uri}
        version = f"{entry.version}+{state.version if state else ''}"
        yield SHAR, Row(None, tar, bytes=state.size if state else None, version=version, extra=json.dumps(inside))


def is_shar(name: str) -> bool:
    """Whether this is a numbered file of cuts, by its name: `cuts.jsonl` is a list of them and has no tar."""
    number = name.removesuffix(".gz").removesuffix(".jsonl").removeprefix("cuts.")
    return name in (f"cuts.{number}.jsonl", f"cuts.{number}.jsonl.gz")


def told(cut: Mapping[str, Json]) -> tuple[str | None, str | None]:
    """What was said in a cut, and what else is known of it."""
    spoken = [each for each in _list(cut.get("supervisions")) if isinstance(each, dict)]
    texts = [text for each in spoken if isinstance(text := each.get("text"), str)]
    rest: dict[str, Json] = {name: value for name, value in cut.items() if name not in KNOWN}
    first = spoken[0] if len(spoken) == 1 else {}
    rest |= {name: first[name] for name in ("speaker", "language", "gender", "custom") if first.get(name) is not None}
    return readable(" ".join(texts)) if texts else None, extra_of(rest, ())


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _id(cut: Mapping[str, Json] | Failure) -> str:
    name = "" if isinstance(cut, Failure) else cut.get("id")
    return name if isinstance(name, str) and is_text(name) else ""


def _row(line: Line, cut: Mapping[str, Json], uri: str, rules: PlanRules) -> Row | Failure:
    place = _place(cut, uri, rules)
    begin, duration = seconds(cut.get("start")), seconds(cut.get("duration"))
    name, channel = _id(cut), _channel(cut)
    for problem in (place, begin, duration, channel):
        if isinstance(problem, Failure):
            return problem
    if not name:
        return Failure("BadLine", "plan", f"the cut of line {line.number} has no id")
    reference, extra = told(cut)
    return Row(name, str(place), begin=begin, duration=duration, channel=channel, reference=reference, extra=extra)  # type: ignore[arg-type]


def _place(cut: Mapping[str, Json], uri: str, rules: PlanRules) -> str | Failure:
    whole = cut.get("recording")
    recording = whole if isinstance(whole, dict) else {}
    sources = _list(recording.get("sources"))
    if len(sources) != 1 or not isinstance(sources[0], dict):
        return Failure("Unsupported", "plan", f"a {cut.get('type', 'cut')} without one recording of one source")
    if not _in_time(altered := recording.get("transforms")):
        return Failure("Unsupported", "plan", f"{altered!r:.80} may move its times, and is not done here")
    kind, source = sources[0].get("type"), str(sources[0].get("source"))
    if kind == "command":
        return Failure("PipedCommand", "plan", f"{source!r} is a command, and commands of an input are never run")
    if not is_text(source):
        return Failure("BadPath", "plan", f"{source!r} is no name of a file")
    if kind not in ("file", "url"):
        return Failure("Unsupported", "plan", f"audio of the type {kind!r} is not read here")
    return resolve(source, folder_of(uri), rules.roots)


def _channel(cut: Mapping[str, Json]) -> int | Failure | None:
    """Which channel of its file a cut is of; None is all of them."""
    told = cut.get("channel")
    asked = [each for each in (told if isinstance(told, list) else [told]) if type(each) is int]
    recording = cut.get("recording")
    source = next(iter(_list(recording.get("sources"))), None) if isinstance(recording, dict) else None
    there = _list(source.get("channels")) if isinstance(source, dict) else []
    if not asked or (there and set(asked) == set(there) and len(there) > 1):
        return None
    if len(asked) > 1:
        return Failure("Unsupported", "plan", f"channels {asked} of {there or 'its file'}: one is read, or all are")
    place = there.index(asked[0]) if asked[0] in there else asked[0]
    return place if 0 <= place < CHANNELS else None


def _in_time(transforms: Json) -> bool:
    """Whether what is done to a recording when it is loaded is known to leave its sounds where they are."""
    if not isinstance(transforms, list):
        return transforms is None
    return all(isinstance(each, dict) and each.get("name") in IN_TIME for each in transforms)
