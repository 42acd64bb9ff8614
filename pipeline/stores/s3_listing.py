"""List a bucket in order, with many requests in flight.

A listing is a chain of pages, each naming the next. To walk several chains at once the keys are cut at the folders
that lie directly under the prefix or, where these are few, at the characters in which keys differ first, which are
found one by one by asking for the key behind all that begin so. The pieces are listed side by side and given out one
after the other, so that only the pieces in flight are held.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice, takewhile
from typing import Protocol, cast

from pipeline.stores.place import Entry

IN_FLIGHT = 8
PIECES = 64
"""At most; the more there are, the less each holds while it waits for its turn."""
EARLY = 8
"""Pages that are asked for one after the other before it is worth to find out where keys differ."""
FEWEST = 16
"""Folders that are enough to cut at."""
DEPTH, BROAD = 16, 100
"""Characters behind what all share, and characters at one place, at which beginnings of keys are told apart at most."""
LAST = "\U0010ffff"
"""Sorts behind every other character."""
Reply = Mapping[str, object]


class Page(Protocol):
    """Ask for one page."""

    def __call__(self, **options: str | int) -> Reply:
        """Ask with these options of the request."""


def in_order(page: Page, prefix: str = "") -> Iterator[Entry]:
    """Every key that begins with the prefix, in order: its entry, with the key as `uri`."""
    first = page()
    if not first.get("IsTruncated"):
        yield from entries(first)
        return
    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="listing") as pool:
        begun, bounds = "", cuts(below) if len(below := folders(page(Delimiter="/"))) >= FEWEST else []
        if not bounds:
            for answer in islice(pages(page, ""), EARLY):
                yield from entries(answer)
                if not answer.get("IsTruncated"):
                    return
                begun = entries(answer)[-1].uri if entries(answer) else begun
            bounds = [
                each for each in cuts(beginnings(page, shared(page, prefix, first), pool)) if not after(begun, each)
            ]
        waiting: deque[Future[list[Entry]]] = deque()
        for begin, end in zip([begun, *bounds], bounds, strict=False):
            waiting.append(pool.submit(piece, page, begin, end))
            if len(waiting) > IN_FLIGHT:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
        yield from chain(page, bounds[-1] if bounds else begun, pool)


def shared(page: Page, prefix: str, first: Reply) -> str:
    """What all keys begin with: what those of the first page do, and the first one behind these, and so on."""
    found = entries(first)
    common = alike(found[0].uri, found[-1].uri) if found else prefix
    while len(common) > len(prefix) and (behind := next_key(page, common + LAST)) is not None:
        if behind.startswith(common):  # with the very last character, which is no text
            break
        common = alike(common, behind)
    return common


def alike(one: str, other: str) -> str:
    """What both begin with; of the first and the last of sorted names, what all between them do, too."""
    return "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def beginnings(page: Page, stem: str, pool: ThreadPoolExecutor) -> list[str]:
    """How keys begin: as many beginnings as there are pieces, if keys differ within some characters."""
    found = [stem]
    for _ in range(DEPTH):
        longer = [stem for stems in pool.map(lambda stem: longer_by_one(page, stem), found) for stem in stems]
        if not longer:
            break
        found = longer
        if len(found) >= PIECES:
            break
    return found


def longer_by_one(page: Page, stem: str) -> list[str]:
    """The beginnings of keys that are a character longer than this one."""
    found: list[str] = []
    behind = stem
    while len(found) < BROAD and (key := next_key(page, behind)) is not None and key.startswith(stem):
        behind = key[: len(stem) + 1] + LAST
        if behind[:-1] in found:  # a key with that very last character, which is no text
            break
        found.append(behind[:-1])
    return found


def next_key(page: Page, behind: str) -> str | None:
    """The first key that comes after this one."""
    found = entries(page(StartAfter=behind, MaxKeys=1))
    return found[0].uri if found else None


def cuts(names: Sequence[str]) -> list[str]:
    """Where to cut: at some of these, evenly."""
    step = -(-len(names) // PIECES) or 1
    return list(names[step::step])


def piece(page: Page, begin: str, end: str) -> list[Entry]:
    """The entries after `begin` up to and with `end`."""
    kept: list[Entry] = []
    for answer in pages(page, begin):
        found = entries(answer)
        kept += [entry for entry in found if after(end, entry.uri)]
        if len(found) and not after(end, found[-1].uri):
            break
    return kept


def after(end: str, key: str) -> bool:
    """Whether a key comes before `end` or is it, as servers sort: by the bytes of UTF-8."""
    return key.encode() <= end.encode()


def chain(page: Page, begin: str, pool: ThreadPoolExecutor) -> Iterator[Entry]:
    """The entries after `begin`, asking for a page while the one before it is used."""
    walk = pages(page, begin)
    coming = pool.submit(next, walk, None)
    while (answer := coming.result()) is not None:
        coming = pool.submit(next, walk, None)
        yield from entries(answer)


def pages(page: Page, begin: str) -> Iterator[Reply]:
    """The pages of one chain."""
    options = {"StartAfter": begin} if begin else {}
    while True:
        answer = page(**options)
        yield answer
        if not answer.get("IsTruncated"):
            return
        options = {"ContinuationToken": str(answer["NextContinuationToken"])}


def entries(answer: Reply) -> list[Entry]:
    """What a page holds."""
    found = cast(Sequence[Mapping[str, object]], answer.get("Contents", ()))
    return [Entry(str(item["Key"]), int(str(item["Size"])), str(item["ETag"]).strip('"')) for item in found]


def folders(answer: Reply) -> list[str]:
    """The folders that a page names."""
    found = cast(Sequence[Mapping[str, str]], answer.get("CommonPrefixes", ()))
    return [item["Prefix"] for item in found]
