"""`steno units`: clusters of the demo's frames, the same whenever the seed is, and what is refused at once."""

import io
import os
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pyarrow.dataset
import pytest

from jobs.cli import main
from jobs.exits import FINE, UNUSABLE
from jobs.options_heads import Units
from models import load_model
from pipeline import reading
from pipeline.audio import AudioRules
from pipeline.bucketing import Buckets
from pipeline.inference import Device
from pipeline.output import add_generation, plan_name
from pipeline.plan import plan
from pipeline.planfile import shards, write_plan
from pipeline.reading import Rules
from pipeline.storage import Store
from pipeline.units import CENTROIDS, Clusters
from tests.faults.runs import MEDDLING, ROOT

DEMO = Path(__file__).parents[2] / "jobs" / "demo"
KEYWORDS, CLASSIFIER = DEMO / "corpus" / "keywords", DEMO / "checkpoints" / "keywords"
Typed = Callable[..., tuple[int, str]]


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Typed:
    """`steno units` in this process: exit code, and all that it says."""

    def run(*words: object) -> tuple[int, str]:
        code = main(["units", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


@pytest.mark.slow
@pytest.mark.ray
def test_units_follow_from_the_seed_and_runs_make_up_the_recording(typed: Typed, tmp_path: Path) -> None:
    """Fitted on a worker, and once more here: the same centroids to the last bit."""
    out, again = tmp_path / "out", tmp_path / "again"
    asked = (KEYWORDS, "-m", CLASSIFIER, "--cpus", 2, "--clusters", 12, "--shard-size", 7, "--layer", 2, "--runs")
    code, told = typed(*asked, "-o", out)
    assert code == FINE, told
    store = Store(str(out))
    work = planned(store)
    assert len(work) == 4
    rules = Rules(str(out), str(CLASSIFIER), AudioRules(), Buckets())
    assert Clusters(str(again), 2, 12).fit(work, rules, Device(str(CLASSIFIER))) is None
    assert Store(str(again)).read(CENTROIDS) == store.read(CENTROIDS)
    used, frames = set[int](), load_model(CLASSIFIER).encoder.frames
    for row in pyarrow.dataset.dataset(out / "transcripts").to_table().to_pylist():
        assert all(left != right for left, right in pairwise(row["units"]))
        assert sum(row["unit_frames"]) == frames(round(16_000 * row["seconds"]))
        used.update(row["units"])
    assert used == set(range(12))
    assert main(["verify", str(out)]) == FINE


def planned(store: Store) -> list[dict[str, object]]:
    """All that there is to read."""
    with store.open(plan_name(1)) as file:
        places = sorted(shards(file), key=lambda place: place.shard)
    names = ("shard", "row_group", "first", "rows")
    return [{"plan": plan_name(1), **{n: getattr(place, n) for n in names}, "done": []} for place in places]


def fitted(folder: Path, *names: str) -> bytes:
    """The centroids of copies of a few keywords, and of a last one for each name."""
    corpus, file = folder / "in", io.BytesIO()
    corpus.mkdir(parents=True)
    for clip in sorted(KEYWORDS.iterdir())[:6]:
        shutil.copy(clip, corpus)
    for name in names:
        shutil.copy(next(KEYWORDS.glob("20-*")), corpus / name)
    write_plan(plan([str(corpus)]), file)
    store = Store(str(folder / "out"))
    add_generation(store, 1, file.getvalue())
    rules = Rules(store.url, str(CLASSIFIER), AudioRules(), Buckets())
    assert Clusters(store.url, 2, 12).fit(planned(store), rules, Device(str(CLASSIFIER))) is None
    return store.read(CENTROIDS)


def test_a_recording_that_kills_its_decoder_is_left_out_of_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would kill the worker of every run: each draws the same sample."""
    monkeypatch.setenv("PYTHONPATH", f"{MEDDLING}{os.pathsep}{ROOT}")
    monkeypatch.setenv("MEDDLE", "decoder dies")
    monkeypatch.setattr(reading, "segments", lambda *_: pytest.fail("it is decoded in the worker itself"))
    innocent = fitted(tmp_path / "innocent")
    assert fitted(tmp_path / "guilty", "99-segv.opus") == innocent
    assert fitted(tmp_path / "larger", "99-fine.opus") != innocent


def test_all_that_is_wrong_is_told_before_anything_starts(typed: Typed, tmp_path: Path) -> None:
    code, told = typed(
        *(KEYWORDS, "-o", tmp_path / "out", "-m", CLASSIFIER),
        *("--codes", "--layer", 1, "--clusters", 1, "--fit-minutes", 0),
    )
    assert code == UNUSABLE
    steps = ("steno: looking ", "steno: reading ")
    lines = [line for line in told.splitlines() if line.startswith("steno: ") and not line.startswith(steps)]
    assert len(lines) == 4, told
    assert "leave out layer, or codes" in lines[0]
    assert "clusters is 1: codes are the model's own, and no clusters are fitted" in lines[1]
    assert "fit_minutes is 0.0: codes are the model's own" in lines[2]
    assert "a HubertForSequenceClassification has no code book" in lines[3]


def test_what_clusters_cannot_be_is_told() -> None:
    said = Units((), "out", "model", clusters=1, fit_minutes=0.0).flaws()
    assert said == ["clusters is 1: it must be 2 or more", "fit_minutes is 0.0: it must be more than 0"]
