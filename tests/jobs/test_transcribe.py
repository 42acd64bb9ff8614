"""`steno transcribe`, before any cluster starts: what is asked for, and all that is wrong with it."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from jobs.cli import main
from jobs.exits import FINE, UNUSABLE
from jobs.options import Incremental, Transcribe
from jobs.planning import Growing, Once
from pipeline.output import Identity, claim
from pipeline.storage import Store
from tests.checkpoints import CONFIGS, write_random, write_small_speller
from tests.clips import make_clips
from tests.jobs.planned import add

CLIP = make_clips(16_000, seed=0).good[0]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small speller."""
    return write_small_speller(tmp_path / "model")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    noise = np.random.default_rng(7)
    for number in range(5):
        soundfile.write(folder / f"{number}.flac", noise.normal(0, 0.1, 8_000 + 1_000 * number), 16_000)
    return folder


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`steno transcribe`, in this process, where a cluster may not start: exit code, stdout, stderr."""

    def started(*_: object) -> None:
        pytest.fail("a cluster was started")

    monkeypatch.setattr("pipeline.machines.cluster", started)

    def run(*words: object) -> tuple[int, str, str]:
        code = main(["transcribe", *map(str, words)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run


def test_a_dry_run_says_what_is_planned(typed: Run, corpus: Path, model: Path, tmp_path: Path) -> None:
    asked = (corpus, "--output", tmp_path / "out", "--model", model, "--dry-run", "--shard-size", 2)
    code, said, _ = typed(*asked)
    assert code == FINE
    assert "shards      3, 0 of them done" in said
    assert "recordings  5 known" in said
    code, said, _ = typed(*asked, "--json")
    sizes = sum(path.stat().st_size for path in corpus.iterdir())
    assert json.loads(said)["planned"].items() >= {"shards": 3, "rows": 5, "bytes": sizes, "failed": 0}.items()
    assert not (tmp_path / "out" / "plan").exists()


def test_what_is_typed_comes_before_the_file_and_the_file_before_the_defaults(
    typed: Run, corpus: Path, model: Path, tmp_path: Path
) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(f"inputs: [{corpus}]\noutput: {tmp_path / 'out'}\nmodel: {model}\nshard_size: 2\ndry-run: true\n")
    planned = json.loads(typed("--config", job, "--json")[1])["planned"]
    assert planned["shards"] == 3
    planned = json.loads(typed("--config", job, "--json", "--shard-size", 4)[1])["planned"]
    assert planned["shards"] == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bem: 2\nchanels: each\n", ["no option bem; did you mean beam?", "no option chanels; did you mean channels?"]),
        ("beam: [\n", ["is not YAML", 'job.yaml", line 2']),
        ("beam\n", ["must be lines of `option: value`"]),
        ("beam: many\n", ["beam", "many"]),
    ],
)
def test_what_is_wrong_in_the_file_is_told_by_its_name(
    typed: Run, text: str, expected: list[str], tmp_path: Path
) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(text)
    code, _, said = typed("in", "--output", "out", "--model", "model", "--config", job)
    assert code == UNUSABLE
    words = "".join(said.replace("│", "").split())  # a long path is broken anywhere
    assert all(part.replace(" ", "") in words for part in expected)


def test_a_file_that_is_not_there_is_one_message(typed: Run) -> None:
    code, _, said = typed("in", "--config", "/no/such/job.yaml")
    assert code == UNUSABLE
    assert "/no/such/job.yaml cannot be read" in " ".join(said.replace("│", " ").split())


def test_an_output_that_cannot_be_written_is_named_as_it_was_typed(typed: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    code, _, said = typed(tmp_path, "--output", tmp_path / "file" / "out", "--model", model)
    assert code == UNUSABLE
    assert f"output: {tmp_path}/file/out: " in said
    assert ".probe" not in said


def test_every_problem_is_told_at_once_and_within_seconds(typed: Run, tmp_path: Path) -> None:
    began = time.monotonic()
    options = ("--channels", "both", "--cut", "loud", "--dtype", "float8", "--device", "tpu", "--beam", 0)
    code, said, complaints = typed(
        tmp_path / "nothing", "--output", "ftp://there/out", "--model", "/no/model", "--json", *options
    )
    assert code == UNUSABLE
    problems = json.loads(said)["problems"]
    starts = ["channels is 'both'", "cut is 'loud'", "dtype is 'float8'", "device is 'tpu'", "beam is 0"]
    for start in (*starts, "output: ftp://there/out", "model: /no/model", f"input: {tmp_path}/nothing: there is"):
        assert sum(problem.startswith(start) for problem in problems) == 1, start
    assert len(problems) == len(starts) + 3
    assert all(problem in complaints for problem in problems)
    assert time.monotonic() - began < 10


def test_an_input_that_is_missing_and_one_that_is_empty_are_named(typed: Run, model: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    code, _, said = typed(tmp_path / "nothing", empty, "--output", tmp_path / "out", "--model", model)
    assert code == UNUSABLE
    lines = [line for line in said.splitlines() if line.startswith("steno: input: ")]
    assert [str(tmp_path / "nothing") in lines[0], str(empty) in lines[1], len(lines)] == [True, True, 2]


@pytest.mark.parametrize(
    ("architecture", "complaint"),
    [
        ("HubertForSequenceClassification", "a HubertForSequenceClassification writes no text"),
        ("HubertForCTC", "has no vocabulary file"),
    ],
)
def test_a_model_without_text_is_refused(
    architecture: str, complaint: str, typed: Run, corpus: Path, tmp_path: Path
) -> None:
    write_random(architecture, CONFIGS["HuBERT"], CLIP, tmp_path / "other")
    code, _, said = typed(corpus, "--output", tmp_path / "out", "--model", tmp_path / "other")
    assert code == UNUSABLE
    assert complaint in said


def test_an_output_of_another_model_is_refused(typed: Run, corpus: Path, model: Path, tmp_path: Path) -> None:
    other = Transcribe((), "", "")
    claim(Store(str(tmp_path / "out")), Identity("elsewhere", None, "0" * 32, other.decisive))
    code, _, said = typed(corpus, "--output", tmp_path / "out", "--model", model)
    assert code == UNUSABLE
    assert "was written by another model or with other options" in said
    assert 'weights: "00000000000000000000000000000000" there' in said


def test_other_inputs_than_were_planned_are_refused_with_the_way_to_add_them(
    typed: Run, corpus: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, more = tmp_path / "out", tmp_path / "more"
    more.mkdir()
    soundfile.write(more / "1.wav", np.zeros(8_000), 16_000)
    add(Once(Transcribe((str(corpus),), str(out), str(model))), Store(str(out)))
    for inputs in ((more,), (corpus, more)):
        code, _, said = typed(*inputs, "--output", out, "--model", model, "--dry-run")
        assert code == UNUSABLE
        assert f"{out} was planned from {corpus}" in said and "steno incremental" in said
    monkeypatch.chdir(tmp_path)
    for spelling in (f"{corpus}/", "corpus"):  # the same, wherever it is typed
        assert typed(spelling, "--output", out, "--model", model, "--dry-run")[0] == FINE
    add(Growing(Incremental((str(more),), str(out), str(model))), Store(str(out)))
    for inputs in ((corpus,), (more,), (more, corpus)):
        assert typed(*inputs, "--output", out, "--model", model, "--dry-run")[0] == FINE


def test_a_bucket_that_is_missing_is_one_message(typed: Run, corpus: Path, model: Path, moto_s3: str) -> None:
    code, _, said = typed(corpus, "--output", "s3://no-such-bucket-here/out", "--model", model)
    assert code == UNUSABLE
    assert "output: " in said and "no-such-bucket-here" in said


def test_missing_credentials_are_one_message(
    typed: Run, corpus: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    began = time.monotonic()
    code, _, said = typed(corpus, "--output", "s3://some-bucket/out", "--model", model)
    assert code == UNUSABLE
    assert "output: " in said and "credentials" in said
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(("word", "meant"), [("--chanels", "--channels"), ("--modle", "--model")])
def test_a_typing_mistake_is_told_what_was_meant(typed: Run, word: str, meant: str) -> None:
    code, _, said = typed("in", "--output", "out", "--model", "m", word, "x")
    assert code == UNUSABLE
    assert meant in said
