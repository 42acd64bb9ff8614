"""Find out what an input is: from its names, and from its first bytes."""

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice

from pipeline.inputs.found import FORMATS, Found, PlanRules
from pipeline.inputs.lhotse import is_shar
from pipeline.inputs.paths import exists, expanded, first_entry, folder_of, name_of, numbered, plain, within
from pipeline.inputs.rows import is_audio
from pipeline.storage import Entry, list_entries, read_bytes

SNIFFED = 2000
"""Entries of a folder that are looked at."""
HEAD = 64 << 10
"""Bytes of an object that are looked at."""
TABLES = ("validated.tsv", "train.tsv", "dev.tsv", "test.tsv", "other.tsv", "invalidated.tsv")
TARRED = "tarred_audio_manifest.json"
MANIFESTS = (TARRED, "manifest.json", "manifest.jsonl")
CUTS = ("cuts.jsonl.gz", "cuts.jsonl")
MARKS: Mapping[str, tuple[str, ...]] = {"kaldi": ("wav.scp",), "commonvoice": TABLES, "nemo": MANIFESTS, "lhotse": CUTS}
"""File names at the top of a folder that tell its form."""
IN_FOLDERS = ("audio", "librispeech", "webdataset", "parquet", "shar")
"""Forms that are read from a folder; the others from a file."""
GLOB = re.compile(r"[*?\[]")
ENDINGS = {"webdataset": ".tar", "parquet": ".parquet"}
WORDS = "none of: " + ", ".join(FORMATS)


class UnknownError(Exception):
    """An input that cannot be planned, in words."""


def look(written: str, rules: PlanRules) -> Iterator[Found]:
    """Yield what an input holds, several for a numbered or globbed name; `UnknownError` says why there is nothing."""
    names = list(expanded(written))
    tars = {number: plain(tar) for number, tar in numbered(rules.tars).items()} if rules.tars else {}
    for place, name in enumerate(names):
        for found in _one(plain(name), rules):
            yield replace(found, tars=_own(tars, written, len(names), place)) if found.form == "nemo" else found


def _own(tars: Mapping[int, str], written: str, manifests: int, place: int) -> Mapping[int, str]:
    """The tars of one of some manifests: all of them where it is the only one, else the one in its place."""
    if manifests == 1 or not tars:
        return tars
    if manifests != len(tars):
        raise UnknownError(f"{written} stands for {manifests} manifests, and tars for {len(tars)} files")
    return {0: list(tars.values())[place]}


def _one(uri: str, rules: PlanRules) -> Iterator[Found]:
    entries = iter(list_entries(uri))
    first = next(entries, None)
    if first is None:
        raise UnknownError(f"{uri} is empty")
    if first.uri == uri:
        yield _file(first, rules)
    elif GLOB.search(uri) and within(first.uri, uri) is None:
        yield from _globbed(uri, chain([first], entries), rules)
    else:
        yield _folder(uri, chain([first], entries), rules)


def _globbed(uri: str, entries: Iterator[Entry], rules: PlanRules) -> Iterator[Found]:
    """A folder of what the pattern matches where that is audio; else file by file."""
    first = next(entries)
    if rules.format in IN_FOLDERS or (rules.format is None and _is_media(first.uri)):
        yield _folder(GLOB.split(uri, maxsplit=1)[0].rpartition("/")[0] or "/", chain([first], entries), rules)
        return
    for entry in chain([first], entries):
        yield _file(entry, rules)


def _is_media(uri: str) -> bool:
    return is_audio(uri) or uri.endswith((".tar", ".parquet"))


def _folder(uri: str, entries: Iterator[Entry], rules: PlanRules) -> Found:
    seen = list(islice(entries, SNIFFED))
    form = rules.format or _form_of_folder(uri, seen)
    if form in IN_FOLDERS:
        wanted = ENDINGS.get(form, "")
        return Found(form, uri, rules, (entry for entry in chain(seen, entries) if entry.uri.endswith(wanted)))
    names = _marked(uri, form, seen) or [name for name in MARKS[form] if _there(f"{uri}/{name}", seen)]
    if not names:
        raise UnknownError(f"{uri} holds no {' or '.join(MARKS[form])}: name the file to read")
    if len(names) > 1 and names[0] != TARRED:
        raise UnknownError(f"{uri} holds {', '.join(names)}, which may name the same audio: name the one to read")
    return Found(form, f"{uri}/{names[0]}", rules)


def _form_of_folder(uri: str, seen: Sequence[Entry]) -> str:
    for form in MARKS:
        if _marked(uri, form, seen):
            return form
    if any(is_shar(name_of(entry.uri)) for entry in seen):
        return "shar"
    return "librispeech" if any(entry.uri.endswith(".trans.txt") for entry in seen) else "audio"


def _marked(uri: str, form: str, seen: Sequence[Entry]) -> list[str]:
    """The files of a folder that are of this form by their names, and by what is in them."""
    named = [name for name in MARKS[form] if _there(f"{uri}/{name}", seen)]
    return [name for name in named if form == "kaldi" or _reads_as(form, f"{uri}/{name}")]


def _reads_as(form: str, uri: str) -> bool:
    entry = first_entry(uri)
    try:
        return entry is not None and _form_of_file(entry) == form
    except UnknownError:
        return False


def _there(uri: str, seen: Sequence[Entry]) -> bool:
    if len(seen) < SNIFFED:
        return any(entry.uri == uri for entry in seen)
    return exists(uri)


def _file(entry: Entry, rules: PlanRules) -> Found:
    form = rules.format or _form_of_file(entry)
    if form == "librispeech":
        form = "audio"
    if form in IN_FOLDERS:
        return Found(form, folder_of(entry.uri), rules, [entry], named=True)
    return Found(form, entry.uri, rules)


def _form_of_file(entry: Entry) -> str:
    head = read_bytes(entry.uri, 0, min(HEAD, entry.size)) if entry.size else b""
    name = name_of(entry.uri)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head[257:262] == b"ustar" or name.endswith(".tar"):
        return "webdataset"
    if is_audio(name):
        return "audio"
    if name == "wav.scp":
        return "kaldi"
    return _form_of_text(entry.uri, _unpacked(head))


def _form_of_text(uri: str, head: bytes) -> str:
    if is_shar(name_of(uri)) and exists(f"{folder_of(uri)}/{_recording(name_of(uri))}"):
        return "shar"
    first = head.partition(b"\n")[0].decode("utf-8-sig", "replace").rstrip("\r")
    if {"path", "sentence"} <= set(first.split("\t")) or (uri.endswith(".tsv") and "path" in first.split("\t")):
        return "commonvoice"
    for line in head.splitlines():
        keys = _keys(line)
        if "audio_filepath" in keys:
            return "nemo"
        if {"start", "recording"} <= keys or {"id", "supervisions"} <= keys or {"id", "tracks"} <= keys:
            return "lhotse"
    raise UnknownError(f"{uri} is {WORDS} (if it is one of them, name it with format; a compressed tar is none)")


def _recording(name: str) -> str:
    return "recording." + name.removeprefix("cuts.").removesuffix(".gz").removesuffix("jsonl") + "tar"


def _unpacked(head: bytes) -> bytes:
    if not head.startswith(b"\x1f\x8b"):
        return head
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(head)) as file:
            return file.read1(HEAD)
    except (OSError, EOFError, zlib.error):
        return b""


def _keys(line: bytes) -> set[str]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return set()
    return set(value) if isinstance(value, dict) else set()
