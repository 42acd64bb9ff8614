"""NeMo manifests: JSON lines that name audio, loose or in tars.

`duration` limits what is read only beside an `offset`, as in NeMo; alone it tells a length, and is carried.
"""

import math
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from pipeline.inputs.found import Found, PlanRules
from pipeline.inputs.lines import Line, fields, lines
from pipeline.inputs.paths import folder_of, name_of, resolve
from pipeline.inputs.rows import REFERENCES, Json, Row, extra_of, is_text, key, poisoned, readable, reference_of
from pipeline.inputs.spool import Spool
from pipeline.schema import Failure

LOOSE, TARRED = "nemo", "nemo-tar"
KNOWN = ("audio_filepath", "offset", "shard_id")


def rows(found: Found) -> Iterator[tuple[str, Row]]:
    """Yield a row per line: audio files where they lie, members of tars tar by tar."""
    spool = Spool()
    for line in lines(found.uri):
        entry = fields(line)
        if isinstance(entry, Failure):
            yield LOOSE, unreadable(found.uri, line, entry)
        elif found.tars or "shard_id" in entry:
            spool.add(_shard(entry), f"{line.number} {line.text}")
        else:
            yield LOOSE, _loose(found.uri, line, entry, found.rules)
    for kept in spool.by_key():
        number, _, text = kept.partition(" ")
        yield _tarred(found, Line(int(number), text))


def unreadable(uri: str, line: Line, failure: Failure, name: str = "") -> Row:
    """The failed row of a manifest's line; without a name it is called after its place."""
    return poisoned(name or f"{name_of(uri)}#line={line.number}", uri, failure.kind, f"{uri}: {failure.message}")


def refused(uri: str, line: Line, failure: Failure, entry: Mapping[str, Json], rules: PlanRules) -> Row:
    """The failed row of a line that can be read but not followed: it keeps what else the line says."""
    row = unreadable(uri, line, failure)
    return row._replace(reference=spoken(entry, rules), extra=carried(entry, (), rules))


def member_uri(tar: str, member: str) -> str:
    """A member of a tar, as one name."""
    return f"{tar}#{quote(member, safe='/ ', errors='surrogateescape')}"


def seconds(value: Json) -> float | Failure | None:
    """A time that a manifest gives, where it is one."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return Failure("BadTime", "plan", f"{value!r} is not a time in seconds")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return Failure("BadTime", "plan", f"{value!r} is not a time in seconds")
    if not math.isfinite(number) or number < 0:
        return Failure("BadTime", "plan", f"{value!r} is not a time in seconds")
    return number


def spoken(entry: Mapping[str, Json], rules: PlanRules) -> str | None:
    """What was said, by the user's column or a known one."""
    if rules.reference_column is None:
        return reference_of(entry)
    value = entry.get(rules.reference_column)
    return readable(value) if isinstance(value, str) else None


def carried(entry: Mapping[str, Json], known: tuple[str, ...], rules: PlanRules) -> str | None:
    """All other fields; a second column of text is one of them."""
    column = rules.reference_column or next((name for name in REFERENCES if isinstance(entry.get(name), str)), None)
    return extra_of(entry, (*known, column or ""))


def _shard(entry: Mapping[str, Json]) -> int:
    shard = entry.get("shard_id")
    return shard if isinstance(shard, int) and 0 <= shard < 2**63 else key(str(shard))


def _loose(uri: str, line: Line, entry: Mapping[str, Json], rules: PlanRules) -> Row:
    part = _part(entry)
    if isinstance(part, Failure):
        return refused(uri, line, part, entry, rules)
    place = resolve(part[0], folder_of(uri), rules.roots)
    if isinstance(place, Failure):
        return refused(uri, line, place, entry, rules)
    return _row(place, part, entry, rules)


def _tarred(found: Found, line: Line) -> tuple[str, Row]:
    entry = fields(line)
    assert not isinstance(entry, Failure)  # it was read once
    part = _part(entry)
    if isinstance(part, Failure):
        return LOOSE, refused(found.uri, line, part, entry, found.rules)
    tar = _tar(found, entry)
    if isinstance(tar, Failure):
        return LOOSE, refused(found.uri, line, tar, entry, found.rules)
    return TARRED, _row(member_uri(tar, part[0]), part, entry, found.rules)


def _tar(found: Found, entry: Mapping[str, Json]) -> str | Failure:
    """The tar that a line's audio lies in: of several the one of its number, or the first where it tells none."""
    if len(found.tars) <= 1 or "shard_id" not in entry:
        return next(iter(found.tars.values()), "") or _tar_beside(found.uri, entry)
    shard = str(entry.get("shard_id"))
    tar = found.tars.get(int(shard)) if re.fullmatch(r"[0-9]{1,18}", shard) else None
    return tar or Failure("NotFound", "plan", f"shard_id {shard}: of {len(found.tars)} tars none has that number")


def _tar_beside(uri: str, entry: Mapping[str, Json]) -> str:
    folder = folder_of(uri)
    folder = folder_of(folder) if name_of(folder) == "sharded_manifests" else folder
    return f"{folder}/audio_{re.sub(r'[^0-9A-Za-z_-]', '_', str(entry.get('shard_id')))}.tar"


def _part(entry: Mapping[str, Json]) -> tuple[str, float | None, float | None] | Failure:
    """The audio that a line names, and from when it is meant and for how long."""
    name = entry.get("audio_filepath")
    if not isinstance(name, str) or not is_text(name):
        return Failure("NoAudio", "plan", "the line names no audio_filepath")
    begin, duration = seconds(entry.get("offset")), seconds(entry.get("duration"))
    if isinstance(begin, Failure):
        return begin
    if begin is None:
        return name, None, None
    return duration if isinstance(duration, Failure) else (name, begin, duration)


def _row(uri: str, part: tuple[str, float | None, float | None], entry: Mapping[str, Json], rules: PlanRules) -> Row:
    name, begin, duration = part
    known = KNOWN if begin is None else (*KNOWN, "duration")
    cut = "" if begin is None else f"@{begin:.3f}" + ("" if duration is None else f"-{begin + duration:.3f}")
    return Row(
        name + cut,
        uri,
        begin=begin,
        duration=duration,
        reference=spoken(entry, rules),
        extra=carried(entry, known, rules),
    )
