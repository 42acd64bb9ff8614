"""Passes over an engine that loses things: who is written off for it, and what is never committed."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline import flow, passes
from pipeline.audio import AudioRules
from pipeline.batches import HEARD
from pipeline.bucketing import Buckets
from pipeline.commit import Unbalanced
from pipeline.inference import Device
from pipeline.inputs.found import PlanRules
from pipeline.latest import by_shard
from pipeline.lease import Lease
from pipeline.output import add_generation, done
from pipeline.passes import Passes, missing_shards
from pipeline.plan import plan
from pipeline.planfile import write_plan
from pipeline.reading import Rules
from pipeline.reckoning import REST
from pipeline.resources import Resources
from pipeline.standstill import StandstillError
from pipeline.stitching import Making
from pipeline.storage import Store
from pipeline.tally import Tally, Watch
from pipeline.unfinished import UnfinishedError
from tests.pipeline.corpora import clip, written
from tests.pipeline.test_gathering import row

COUNT = 6
Engine = Callable[[list[int], bool], Iterator[int | None]]
"""What arrives of the recordings that are asked for, in a careful pass or not; None is the shard's census."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An output with a plan of one shard."""
    folder = written(tmp_path / "in", {f"{number}.wav": clip(number) for number in range(COUNT)})
    file = io.BytesIO()
    write_plan(plan([str(folder)]), file)
    found = Store(str(tmp_path / "out"))
    add_generation(found, 1, file.getvalue())
    return found


def run(
    store: Store,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    watch: Watch = lambda _: None,
    suspects: Mapping[str, int] | None = None,
    heard: Callable[..., Iterator[pa.Table]] | None = None,
) -> Tally:
    """All passes, on this engine; `suspects` are the shards over which drivers have died, and how many."""

    def by_shards(work: Iterable[Sequence[Mapping[str, object]]], rules: Rules, *_: object) -> Iterator[pa.Table]:
        for shard in chain.from_iterable(work):
            asked = [ordinal for ordinal in range(int(str(shard["rows"]))) if ordinal not in shard["done"]]  # type: ignore[operator]
            for ordinal in engine(asked, rules.apart):
                yield arrival(str(shard["shard"]), ordinal)

    monkeypatch.setattr(flow, "heard", heard or by_shards)
    rules = Rules(store.url, "model", AudioRules(), Buckets())
    with Lease(store, "run") as lease:
        lease.inherited = dict(suspects or {})
        making = Making("model", "run", 100)
        return Passes(store, lease, rules, Device("model"), Resources(), making, "f", watch).run()


def arrival(shard: str, ordinal: int | None, count: int | None = None) -> pa.Table:
    """A recording as heard, or the census."""
    if ordinal is None:
        counted = {"key": {"shard": shard, "census": count or COUNT}, "seconds": 0.0, "padding": 0.0}
        return pa.Table.from_pylist([counted], HEARD)
    return pa.Table.from_pylist([row(ordinal, 0, 0, shard=shard)], HEARD)


def written_off(store: Store) -> list[int]:
    """The places of the failed rows; all six are there."""
    ((_, table),) = by_shard(store, ["status"])
    assert len(table) == COUNT
    return [place for place, status in enumerate(table["status"].to_pylist()) if status == "failed"]


def fells_the_reader(*guilty: int) -> Engine:
    """A reader goes in order, and is gone at the first of these."""

    def engine(asked: list[int], careful: bool) -> Iterator[int | None]:
        for ordinal in asked if careful else []:
            if ordinal in guilty:
                return
            yield ordinal
        if careful:
            yield None

    return engine


def fells_the_pool(*guilty: int) -> Engine:
    """Each careful batch is alone, so only these are missing in the end."""

    def engine(asked: list[int], careful: bool) -> Iterator[int | None]:
        yield from (ordinal for ordinal in asked if careful and ordinal not in guilty)
        yield None

    return engine


@pytest.mark.parametrize("guilty", [(0,), (2,), (5,), (1, 2), (0, 3, 5)])
@pytest.mark.parametrize("fells", [fells_the_reader, fells_the_pool])
def test_the_guilty_are_written_off_and_nobody_else(
    fells: Callable[..., Engine], guilty: tuple[int, ...], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = run(store, fells(*guilty), monkeypatch)
    assert written_off(store) == list(guilty)
    assert tally.passes <= 2 + 2 * len(guilty)


def test_what_is_lost_once_with_care_is_asked_for_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[bool] = []

    def engine(asked: list[int], careful: bool) -> Iterator[int | None]:
        passed.append(careful)
        yield from asked if sum(passed) > 1 else asked[:2]
        yield None

    run(store, engine, monkeypatch)
    assert written_off(store) == []


def test_a_flow_that_stands_still_is_begun_anew_and_nobody_is_blamed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[tuple[int, bool]] = []

    def engine(asked: list[int], careful: bool) -> Iterator[int | None]:
        passed.append((len(asked), careful))
        yield asked[0]
        if len(passed) < COUNT:
            raise StandstillError
        yield None

    tally = run(store, engine, monkeypatch)
    assert written_off(store) == []
    assert passed == [(COUNT - before, False) for before in range(COUNT)]
    assert tally.passes == COUNT


@pytest.mark.parametrize("first", ["", "care"])
def test_passes_over_a_flow_that_never_moves_come_to_an_end_and_nobody_is_blamed(
    first: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[bool] = []

    def engine(asked: list[int], careful: bool) -> Iterator[int | None]:
        passed.append(careful)
        if first and len(passed) == 1:
            yield asked[0]  # the rest is lost, and is read with care from here on
        else:
            raise StandstillError("3 workers have no place")

    with pytest.raises(UnfinishedError, match=r"3 workers have no place, 3 times in a row.*the same command goes on"):
        run(store, engine, monkeypatch)
    assert passed == [False, True, True, True] if first else passed == [False] * 3
    assert list(done(store)) == []
    run(store, fells_the_pool(), monkeypatch)
    assert written_off(store) == []


@pytest.fixture
def container(tmp_path: Path) -> Store:
    """An output with a plan of one container."""
    folder = written(tmp_path / "in", {"a.tar": b"its members come from the engine"})
    file = io.BytesIO()
    write_plan(plan([str(folder)]), file)
    found = Store(str(tmp_path / "out"))
    add_generation(found, 1, file.getvalue())
    return found


def test_a_container_that_shrinks_between_two_passes_is_read_anew(
    container: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[list[int]] = []

    def heard(work: Iterable[Sequence[Mapping[str, object]]], *_: object) -> Iterator[pa.Table]:
        for shard in chain.from_iterable(work):
            had = list(shard["done"])  # type: ignore[call-overload]
            passed.append(had)
            members = 10 if len(passed) == 1 else 5
            yield from (arrival(str(shard["shard"]), each) for each in range(members - 1) if each not in had)
            if len(passed) > 1:
                yield arrival(str(shard["shard"]), members - 1)
                yield arrival(str(shard["shard"]), None, members)

    tally = run(container, fells_the_pool(), monkeypatch, heard=heard)
    assert passed == [[], list(range(9)), []]
    ((_, table),) = by_shard(container, ["status"])
    assert table["status"].to_pylist() == ["ok"] * 5
    assert (tally.counts["ok"], tally.arrivals["ok"]) == (5, 5)


EVER = 99
"""Passes, and no run has so many."""


@pytest.mark.parametrize(
    ("fatal", "statuses", "most"),
    [
        ({0: 3}, "failed ok ok ok ok ok", 4),
        ({2: EVER, 4: EVER}, "ok ok failed ok failed ok", 6),
        ({5: EVER}, "ok ok ok ok ok failed", 4),
        ({2: EVER, 3: EVER, 4: EVER}, "ok ok failed failed", 5),
        (dict.fromkeys(range(COUNT), EVER), "failed failed", 5),
    ],
    ids=["a reader that is lost at first", "two apart", "the last", "three on end", "all"],
)
def test_a_container_is_read_on_behind_a_fatal_place_until_the_next_is_fatal_too(
    fatal: Mapping[int, int], statuses: str, most: int, container: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader falls at these places, up to that pass."""
    passed: list[list[int]] = []

    def heard(work: Iterable[Sequence[Mapping[str, object]]], *_: object) -> Iterator[pa.Table]:
        for shard in chain.from_iterable(work):
            passed.append(list(shard["done"]))  # type: ignore[call-overload]
            for place in range(COUNT):
                if place not in passed[-1]:
                    if len(passed) <= fatal.get(place, 0):
                        return
                    yield arrival(str(shard["shard"]), place)
            yield arrival(str(shard["shard"]), None)

    assert run(container, fells_the_pool(), monkeypatch, heard=heard).passes <= most
    ((_, table),) = by_shard(container, ["status", "recording_id", "error"])
    assert table["status"].to_pylist() == statuses.split()
    last = table.to_pylist()[-1]
    if len(table) < COUNT:
        assert REST.search(last["recording_id"]) and "`steno retry` reads all of it again" in last["error"]["message"]


def test_what_is_done_is_never_more_than_the_whole(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []

    def engine(asked: list[int], careful: bool) -> Iterator[int | None]:
        yield from asked[: None if len(asked) < 3 else -2]
        yield None

    tally = run(store, engine, monkeypatch, lambda tally: told.append(tally.done / tally.missing))
    assert tally.passes > 1
    assert told == sorted(told) and told[-1] == 1.0


def test_a_shard_left_open_does_not_disturb_those_that_are_read_with_care_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path / "in", {f"{number}.wav": clip(number) for number in range(COUNT)})
    file = io.BytesIO()
    write_plan(plan([str(folder)], PlanRules(shard_size=COUNT // 2)), file)
    store = Store(str(tmp_path / "out"))
    add_generation(store, 1, file.getvalue())
    _, second = sorted(missing_shards(store))

    def engine(asked: list[int], careful: bool) -> Iterator[int | None]:
        if careful:
            yield from asked
            yield None
        else:
            yield asked[0]

    monkeypatch.setattr("tests.pipeline.test_passes.COUNT", COUNT // 2)
    assert run(store, engine, monkeypatch, suspects={second: passes.DRIVERS}).passes == 2
    assert len(list(done(store))) == 2


def test_a_reader_that_counts_fewer_than_were_planned_commits_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def engine(asked: list[int], careful: bool) -> Iterator[int | None]:
        yield from asked[:-1]
        yield None

    counted = passes.Gathering.take

    def short(self: passes.Gathering, heard: pa.Table) -> Iterator[passes.Whole]:
        rows = heard.to_pylist()
        for one in rows:
            if one["key"]["census"] is not None:
                one["key"]["census"] = COUNT - 1
        return counted(self, pa.Table.from_pylist(rows, HEARD))

    monkeypatch.setattr(passes.Gathering, "take", short)
    with pytest.raises(Unbalanced, match="1 missing"):
        run(store, engine, monkeypatch)
    assert list(done(store)) == []
