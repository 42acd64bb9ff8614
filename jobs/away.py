"""Which of the stores that a job names are silent: asked once each, so that nothing waits for one again and again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from jobs.options import Work
from pipeline.knocking import knock
from pipeline.storage import StoreError, parse
from pipeline.stores.errors import UNREACHABLE


@dataclass(frozen=True)
class Away:
    """The silent ones."""

    stores: Mapping[str, str] = field(default_factory=dict)
    """What to say of each, by the beginning of its addresses."""

    @property
    def problems(self) -> list[StoreError]:
        """In the user's words."""
        return [StoreError(UNREACHABLE, said) for said in self.stores.values()]

    def any_of(self, *urls: str) -> bool:
        """Whether one of these lies in such a store."""
        return any(_store(url) in self.stores for url in urls)


def away(options: Work) -> Away:
    """Knock at every store that the options name."""
    places: dict[str, list[tuple[str, str]]] = {}
    for name, url in _named(options):
        if store := _store(url):
            places.setdefault(store, []).append((name, url))
    return Away({store: said for store, named in places.items() if (said := _said(named))})


def _named(options: Work) -> Iterator[tuple[str, str]]:
    yield "output", options.output
    yield "model", options.model
    yield from (("input", url) for url in options.inputs)
    yield from options.files.items()


def _store(url: str) -> str:
    """The scheme, which has one endpoint; nothing where it is no store that we know, which is told elsewhere."""
    try:
        return parse(url)[0].replace("s3a", "s3")
    except StoreError:
        return ""


def _said(named: list[tuple[str, str]]) -> str:
    try:
        knock(named[0][1])
    except StoreError as error:
        if error.kind == UNREACHABLE:
            return f"{', '.join(dict.fromkeys(name for name, _ in named))}: {error}"
    return ""
