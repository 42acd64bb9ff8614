"""The demo keeps its promises, and notices when the models do not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import models.frontend
from jobs.demo import promises as demo
from jobs.describe import Architecture, Architectures, architectures
from models import SpeechModel
from models.heads import CtcHead
from models.layers.packing import Packed
from models.protocol import Padded, Tokens
from models.registry import ARCHITECTURES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def spellers(monkeypatch: pytest.MonkeyPatch) -> tuple[Architecture, ...]:
    """One head of each family, to be quick."""
    kinds = tuple(kind for kind in architectures().architectures if kind.head == "CTC")
    monkeypatch.setattr(demo, "architectures", lambda: Architectures(kinds))
    return kinds


@pytest.fixture
def speller(spellers: tuple[Architecture, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """HuBERT's, to be quicker."""
    monkeypatch.setattr(demo, "architectures", lambda: Architectures(spellers[:1]))


def test_every_family_and_head_is_shown_and_nothing_is_left_behind(tmp_path: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "jobs.demo.promises"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr == ""
    assert "the weights below are random, so there is no text" in shown.stdout.lower()
    assert "Every promise was kept." in shown.stdout
    assert "sample 16000 is not a finite number" in shown.stdout
    rows = [line for line in shown.stdout.splitlines() if line.endswith("empty      refused")]
    kinds = architectures().architectures
    assert [row.split()[:2] for row in rows] == [[kind.family, kind.head] for kind in kinds]
    assert len(rows) == len(ARCHITECTURES)
    tokens = [int(count) for count in re.findall(r"yes, (\d+) tokens", shown.stdout)]
    assert len(tokens) == 4
    assert min(tokens) > 200, "too little was compared"
    assert list(tmp_path.iterdir()) == []


def reads_padding(model: SpeechModel, batch: Padded, indices: tuple[int, ...]) -> Packed:
    """The usual mistake: what follows a clip in its row is read as if it were the clip."""
    lengths = batch.lengths[list(indices)].tolist()
    inputs = batch.inputs[list(indices)]
    features = model.encoder.extract(inputs, [inputs.shape[1]] * len(indices))
    clips = zip(features.clips(), lengths, strict=True)
    cut = [clip[: model.encoder.shape.frames(samples)] for clip, samples in clips]
    return Packed(torch.cat(cut), tuple(map(len, cut)))


@pytest.mark.usefixtures("speller")
def test_a_model_that_reads_its_neighbours_padding_is_caught(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(SpeechModel, "_features", reads_padding)
    assert demo.main() == 1
    said = capsys.readouterr()
    assert "BROKEN  HuBERT, head CTC: outputs differ by" in said.err
    assert "BROKEN  HuBERT, head CTC: decisions differ in company" in said.err
    assert "NO, " in said.out
    assert "Every promise" not in said.out


def test_a_norm_over_the_whole_batch_is_caught_in_every_family(
    spellers: tuple[Architecture, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    by_itself = SpeechModel._features

    def mixed(model: SpeechModel, batch: Padded, indices: tuple[int, ...]) -> Packed:
        features = by_itself(model, batch, indices)
        return features.of(features.values - features.values.mean(0))  # over all clips

    monkeypatch.setattr(SpeechModel, "_features", mixed)
    assert demo.main() == 1
    said = capsys.readouterr().err
    for kind in spellers:
        assert f"BROKEN  {kind.family}, head CTC: outputs differ by" in said


@pytest.mark.usefixtures("speller")
def test_a_clip_with_a_nan_that_is_not_refused_is_caught(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(models.frontend, "_refusal", lambda _: None)
    assert demo.main() == 1
    assert "the clip with a NaN came out" in capsys.readouterr().err


@pytest.mark.usefixtures("speller")
def test_words_made_of_nothing_are_caught(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    one = np.ones(1, np.int32)
    monkeypatch.setattr(CtcHead, "empty", lambda _: Tokens(one, one, one, one.astype(np.float32)))
    assert demo.main() == 1
    assert "the clip without a frame came out read" in capsys.readouterr().err
