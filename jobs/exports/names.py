"""The file that a recording's id names, below a folder and never outside it.

An id may hold anything: `..`, a leading slash, a line break, a thousand letters. What a path cannot hold is spelled
`%2E`, as in a URL, so two ids never share a file, as long as the file system tells capitals from small letters. An
id's own slashes are folders.
"""

import hashlib

UNSAFE = frozenset('%\\:*?"<>|')
LONGEST = 180
"""Bytes of a name, before its ending: file systems take 255."""
KEPT = 120
"""Letters of a longer name that are kept; its hash stands for the rest."""


def file_name(recording_id: str, ending: str) -> str:
    """Where it goes, with slashes; `ending` begins with a dot."""
    *folders, last = recording_id.split("/")
    return "/".join([*(_folder(part, ending) for part in folders), _part(last) + ending])


def _folder(part: str, ending: str) -> str:
    """No folder is called like a file: `a` and `a.srt/b` can stand side by side."""
    safe = _part(part)
    return safe.removesuffix(ending) + "%2E" + ending[1:] if safe.endswith(ending) else safe


def _part(part: str) -> str:
    safe = "".join(map(_spelled, part)) or "%_"
    if safe.startswith("."):
        safe = "%2E" + safe[1:]
    if len(safe.encode()) <= LONGEST:
        return safe
    return f"{safe[:KEPT].encode()[:KEPT].decode(errors='ignore')}%~{hashlib.sha256(part.encode()).hexdigest()[:16]}"


def _spelled(letter: str) -> str:
    if letter in UNSAFE or not letter.isprintable():
        return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", "surrogatepass"))
    return letter
