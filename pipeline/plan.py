"""From inputs to shards: listed once, in order, each recording in exactly one shard.

Nothing here holds the corpus: rows stream through, and eight bytes per id are kept to tell a second one from the first.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

import pyarrow as pa

from pipeline.inputs import commonvoice, containers, folder, kaldi, lhotse, nemo
from pipeline.inputs.catalogue import versioned
from pipeline.inputs.earlier import Earlier
from pipeline.inputs.found import FORMATS, Found, PlanError, Planner, PlanRules
from pipeline.inputs.look import UnknownError, look
from pipeline.inputs.naming import named
from pipeline.inputs.paths import folder_of, name_of, plain
from pipeline.inputs.rows import Row, table
from pipeline.storage import StoreError

PLANNERS: Mapping[str, Planner] = {
    "audio": folder.rows,
    "nemo": nemo.rows,
    "parquet": containers.parquet_rows,
    "webdataset": containers.tar_rows,
    "commonvoice": commonvoice.rows,
    "librispeech": folder.librispeech_rows,
    "kaldi": kaldi.rows,
    "lhotse": lhotse.rows,
    "shar": lhotse.shar_rows,
}
MANIFESTS = ("nemo", "commonvoice", "kaldi", "lhotse")
"""Forms whose recordings are named, not listed."""
DEFAULT = PlanRules()
LONGEST_SLUG = 60
"""Letters of a shard's name that tell what is in it."""


def plan(inputs: Sequence[str], rules: PlanRules = DEFAULT, before: Earlier | None = None) -> Iterator[pa.Table]:
    """Yield the shards of the inputs, a table of the plan's columns each.

    What is wrong with the set-up is raised here, before the first one, with every reason at once. What plans `before`
    have named keeps its name.
    """
    problems = list[str | StoreError](_wrong(inputs, rules))
    rules = replace(rules, roots=tuple(_roots(rules, problems)))
    begun: list[Iterator[tuple[str, Row]]] = []
    for written in inputs if rules.format in (None, *FORMATS) else ():
        try:
            begun.extend(_begun(found) for found in look(written, rules))
        except UnknownError as problem:
            problems.append(str(problem))
        except StoreError as problem:
            problems.append(problem)
    if problems:
        raise PlanError(problems)
    return shards_of(named(chain.from_iterable(begun), before), rules)


def _wrong(inputs: Sequence[str], rules: PlanRules) -> Iterator[str]:
    if not inputs:
        yield "no input is named"
    if rules.format is not None and rules.format not in FORMATS:
        yield f"format {rules.format}: {', '.join(FORMATS)} are known"
    if rules.shard_size < 1:
        yield f"shard_size {rules.shard_size}: at least one recording makes a shard"


def _roots(rules: PlanRules, problems: list[str | StoreError]) -> Iterator[str]:
    """The folders that manifests may point into, as storage spells them."""
    for root in rules.roots:
        try:
            yield plain(root)
        except StoreError as problem:
            problems.append(f"roots: {problem}")


def _begun(found: Found) -> Iterator[tuple[str, Row]]:
    """The rows of an input, the first already read: an input without any is a mistake."""
    rows = PLANNERS[found.form](found)
    if found.form in MANIFESTS and found.rules.catalogue:
        roots = [folder_of(each) for each in (found.uri, *found.tars.values())]
        rows = versioned(rows, [*dict.fromkeys(roots), *found.rules.roots], found.rules.catalogue)
    first = next(rows, None)
    if first is None:
        raise UnknownError(f"{found.uri} holds no audio that can be planned as {found.form}")
    if first[0] == containers.PARQUET and '"audio": null' in (first[1].extra or ""):
        named = found.rules.audio_column
        lacking = f"column {named!r}, which audio_column names, with" if named else "column of"
        remedy = "" if named else ": name it with audio_column"
        raise UnknownError(f"{first[1].uri} has no {lacking} audio (bytes or paths){remedy}")
    return chain([first], rows)


def shards_of(rows: Iterable[tuple[str, Row]], rules: PlanRules) -> Iterator[pa.Table]:
    """Group rows into shards, in order; a shard is recordings of one form, or one container."""
    waiting: list[Row] = []
    form, number = "", 0
    for next_form, row in rows:
        if waiting and (len(waiting) >= rules.shard_size or not _together(form, waiting[-1], next_form, row)):
            yield _shard(form, waiting, number, rules)
            waiting, number = [], number + 1
        form = next_form
        waiting.append(row)
    if waiting:
        yield _shard(form, waiting, number, rules)


def _together(form: str, last: Row, next_form: str, row: Row) -> bool:
    if form != next_form or last.recording_id is None or row.recording_id is None:
        return False
    return form != nemo.TARRED or _tar(last) == _tar(row)


def _tar(row: Row) -> str:
    return row.uri.rpartition("#")[0]


def _shard(form: str, rows: Sequence[Row], number: int, rules: PlanRules) -> pa.Table:
    return table(f"{rules.generation:06d}-{number:06d}-{_slug(form, rows[0])}", form, rows)


def _slug(form: str, row: Row) -> str:
    """What a person recognises the shard by."""
    known = row.recording_id.rpartition("/")[0].partition("/")[0] if row.recording_id else name_of(row.uri)
    if form == nemo.TARRED:
        known = name_of(_tar(row))
    known = known.removesuffix(".tar").removesuffix(".parquet")
    part = "" if row.row_group is None else f"-{row.row_group}"
    return re.sub(r"[^A-Za-z0-9._-]+", "_", known)[:LONGEST_SLUG].strip("._") + part or form
