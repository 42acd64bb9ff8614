"""The members of a tar, header by header.

`tarfile` takes a damaged header for the end of the archive, and says nothing. Here a tar ends where its end mark
stands; anything else is told.
"""

import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pipeline.schema import Failure

BLOCK = 512
LONGEST_HEADER = 1 << 20
"""Bytes of a header that extends another: names and times, never more."""
PADDING = 1 << 20
"""Zeros after the end mark that are looked through for a further tar."""
FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
LINKS = (tarfile.LNKTYPE, tarfile.SYMTYPE)


@dataclass(frozen=True)
class Member:
    """One entry of a tar."""

    name: str
    header: int
    """Where its first header begins."""
    begin: int
    """Where its content begins."""
    size: int
    """Bytes of content."""
    failure: Failure | None = None
    """Why it is not read: a link, a sparse file, a name that leads elsewhere."""

    @property
    def key(self) -> str:
        """What the files of one sample share: the name up to the first dot of its last part."""
        folder, slash, name = self.name.rpartition("/")
        return f"{folder}{slash}{name.partition('.')[0]}"

    @property
    def ending(self) -> str:
        """The last part of the name after its last dot."""
        return self.name.rpartition("/")[2].rpartition(".")[2].lower()


def plain(name: str) -> str:
    """A member's name as others write it: `tar -c .` begins each with `./`."""
    return re.sub(r"^(\./+)+(?=.)", "", name)


class TarError(Exception):
    """The tar cannot be read on."""

    def __init__(self, at: int, message: str) -> None:
        super().__init__(at, message)
        self.at, self.message = at, message


def members(file: BinaryIO, begin: int = 0, end: int | None = None) -> Iterator[Member]:
    """Yield the files and links from one header to another, or to the end mark.

    `end`, where it is given, is a header that a walk has found, or the end mark. Folders are passed over.
    """
    total = file.seek(0, os.SEEK_END)
    header, zeros = begin, 0
    while end is None or header < end:
        info = _header(file, header, header)
        if info is None and end is None and (zeros > PADDING or (zeros and header >= total)):
            return
        if info is None and header >= total:
            raise TarError(header, f"the tar ends at byte {header} without an end mark: it was cut short")
        if info is None:
            header, zeros = header + BLOCK, zeros + BLOCK
            continue
        member, header, is_file = _member(file, header, info, total)
        zeros = 0
        if is_file:
            yield member


def _header(file: BinaryIO, at: int, first: int) -> tarfile.TarInfo | None:
    """The header at a place; None for zeros, and beyond the end."""
    file.seek(at)
    try:
        return tarfile.TarInfo.frombuf(file.read(BLOCK), "utf-8", "surrogateescape")
    except (tarfile.EOFHeaderError, tarfile.EmptyHeaderError):  # type: ignore[attr-defined]
        return None
    except (tarfile.HeaderError, ValueError) as error:
        why = "it is compressed, and only plain tars are read" if _packed(file, at) else str(error)
        raise TarError(first, f"the tar cannot be read from byte {first} on: {why}") from None


def _packed(file: BinaryIO, at: int) -> bool:
    """Whether gzip, bzip2, xz or zstd has made it of a tar."""
    file.seek(at)
    return file.read(6).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"))


def _member(file: BinaryIO, first: int, info: tarfile.TarInfo, total: int) -> tuple[Member, int, bool]:
    """The member whose headers begin at `first`, where the next one begins, and whether it is a file or a link."""
    at, told = first, dict[str, str]()
    while info.type in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
        told |= _extension(file, info, first)
        at += BLOCK + _padded(info.size)
        following = _header(file, at, first)
        if following is None:
            if info.type == tarfile.XGLTYPE:
                return Member("", first, at, 0), at, False
            raise TarError(first, f"the tar ends inside the header at byte {first}")
        info = following
    size = _size(told.get("size"), info.size, first)
    begin = at + BLOCK + _sparse_headers(file, at, info)
    content = 0 if info.type in (*LINKS, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE) else size
    name = plain(told.get("GNU.sparse.name", told.get("path", info.name)))
    if begin + content > total:
        raise TarError(first, f"{name} at byte {first} has {content} bytes, and the tar ends at byte {total}")
    is_file = info.type in (*FILES, *LINKS, tarfile.GNUTYPE_SPARSE)
    return Member(name, first, begin, content, _refused(name, info, told)), begin + _padded(content), is_file


def _extension(file: BinaryIO, info: tarfile.TarInfo, first: int) -> dict[str, str]:
    if not 0 <= info.size <= LONGEST_HEADER:
        raise TarError(first, f"the header at byte {first} claims {info.size} bytes")
    content = file.read(info.size)
    if info.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": content.partition(b"\0")[0].decode("utf-8", "surrogateescape")}
    return _pax(content, first) if info.type == tarfile.XHDTYPE else {}


def _pax(content: bytes, first: int) -> dict[str, str]:
    """Records like `30 path=some/name` and a line break, each led by its own length."""
    told: dict[str, str] = {}
    while content.strip(b"\0"):
        length, _, _ = content.partition(b" ")
        if not length.isdigit() or not 5 <= int(length) <= len(content):
            raise TarError(first, f"the header at byte {first} is damaged")
        name, _, value = content[len(length) + 1 : int(length) - 1].partition(b"=")
        told[name.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        content = content[int(length) :]
    return told


def _size(told: str | None, short: int, first: int) -> int:
    size = short if told is None else int(told) if told.isdigit() and len(told) < 20 else -1
    if size < 0:
        raise TarError(first, f"the header at byte {first} tells no size")
    return size


def _sparse_headers(file: BinaryIO, at: int, info: tarfile.TarInfo) -> int:
    """Bytes of the headers that an old sparse member has more."""
    if info.type != tarfile.GNUTYPE_SPARSE:
        return 0
    file.seek(at)
    more, extended = 0, file.read(BLOCK)[482:483] != b"\0"
    while extended:
        more += BLOCK
        extended = file.read(BLOCK)[504:505] not in (b"\0", b"")
    return more


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _refused(name: str, info: tarfile.TarInfo, told: dict[str, str]) -> Failure | None:
    if info.type in LINKS:
        return Failure("Refused", "sources", f"{name} is a link, and links in a tar are not followed")
    if info.type == tarfile.GNUTYPE_SPARSE or any(each.startswith("GNU.sparse") for each in told):
        return Failure("Refused", "sources", f"{name} is a sparse file, which is not unpacked here")
    if name.startswith("/") or ".." in name.split("/"):
        return Failure("OutsideRoot", "sources", f"{name} leads out of the tar")
    return None
