"""List a bucket in order, with many requests in flight.

A listing is a chain of pages, each naming the next. To walk several chains at once the keys are cut at the folders
that lie directly under the prefix; the pieces are listed side by side and given out one after the other, so that only
the pieces in flight are held.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, cast

from pipeline.stores.place import Entry

IN_FLIGHT = 8
PIECES = 64
"""At most; the more there are, the less each holds while it waits for its turn."""
Reply = Mapping[str, object]


class Page(Protocol):
    """Ask for one page."""

    def __call__(self, **options: str) -> Reply:
        """Ask with these options of the request."""


def in_order(page: Page) -> Iterator[Entry]:
    """Every key of the listing in order: its entry, with the key as `uri`."""
    first = page()
    if not first.get("IsTruncated"):
        yield from entries(first)
        return
    bounds = cuts(folders(page(Delimiter="/")))
    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="listing") as pool:
        waiting: deque[Future[list[Entry]]] = deque()
        for begin, end in zip(["", *bounds], bounds, strict=False):
            waiting.append(pool.submit(piece, page, begin, end))
            if len(waiting) > IN_FLIGHT:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
        yield from chain(page, bounds[-1] if bounds else "", pool)


def cuts(names: Sequence[str]) -> list[str]:
    """Where to cut: at folders, evenly."""
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
