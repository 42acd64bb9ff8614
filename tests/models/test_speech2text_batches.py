"""Speech2Text in company: hidden states and texts are those of the clip alone, on every way that a batch may take."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from models import checkpoint, load_model
from models.layers import packing
from models.model import SpeechModel
from models.protocol import Generation, Padded, Tokens
from tests.models.reference import TOLERANCE, difference, noise
from tests.models.writing import folder, ours, reference

NAMES = ("untied", "even-kernels", "no-padding-id", "three-convolutions")
MIXED = (5_003, 20_801, 2_500, 12_345, 20_801, 560)
SEARCH = Generation(beams=4, max_length=12)


def texts(model: SpeechModel, batch: Padded, search: Generation = SEARCH) -> list[list[int]]:
    found = [one for one in model.predict(batch, search) if isinstance(one, Tokens)]
    assert len(found) == len(batch.lengths)
    return [one.ids.tolist() for one in found]


@cache
def by_itself(name: str, samples: int, seed: int = 0) -> tuple[torch.Tensor, list[int]]:
    """The last hidden frames of a clip in a batch of its own, and its text."""
    batch = ours(name).frontend([noise(samples, seed)])
    return ours(name)(batch).hidden[0], texts(ours(name), batch)[0]


def assert_alone(name: str, batch: Padded, clips: list[tuple[int, int]]) -> None:
    out, written = ours(name)(batch), texts(ours(name), batch)
    for index, clip in enumerate(clips):
        hidden, text = by_itself(name, *clip)
        assert difference(out.hidden[index, : len(hidden)], hidden) <= TOLERANCE
        assert not out.hidden[index, len(hidden) :].any()
        assert int(out.lengths[index]) == len(hidden)
        assert written[index] == text


@pytest.mark.parametrize("name", NAMES)
def test_a_device_that_reads_all_clips_at_once_reads_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way that an accelerator takes, on whatever is here."""
    clips = [(samples, 0) for samples in MIXED]
    for clip in clips:
        by_itself(name, *clip)
    monkeypatch.setattr(packing, "fills", lambda _: False)
    assert_alone(name, ours(name).frontend([noise(*clip) for clip in clips]), clips)


@pytest.mark.parametrize("extra", [1, 7, 400])
@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_clip_reads_the_same_however_far_it_is_padded(
    name: str, at_once: bool, extra: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [(samples, 0) for samples in MIXED[:3]]
    for clip in clips:
        by_itself(name, *clip)
    if at_once:
        monkeypatch.setattr(packing, "fills", lambda _: False)
    batch = ours(name).frontend([noise(*clip) for clip in clips])
    wide = F.pad(batch.inputs, (0, 0, 0, extra))
    for index, length in enumerate(batch.lengths.tolist()):
        wide[index, length:] = 3.0  # what follows a clip in its row is not read
    assert_alone(name, Padded(wide, batch.lengths, batch.refusals), clips)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data())
@pytest.mark.parametrize("name", ["untied", "even-kernels"])
def test_a_clip_reads_the_same_in_any_company(name: str, data: st.DataObject) -> None:
    clips = data.draw(st.lists(st.tuples(st.integers(560, 9_000), st.integers(0, 3)), min_size=1, max_size=6))
    assert_alone(name, ours(name).frontend([noise(*clip) for clip in clips]), clips)


@cache
def half(name: str, throughout: str) -> SpeechModel:
    """The case in bfloat16: as the machine does it, or multiplied in it."""
    reference(name)
    with pytest.MonkeyPatch.context() as patch:
        if throughout == "throughout":
            patch.setattr(checkpoint, "multiplies", lambda *_: True)
        return load_model(folder(name, "ForConditionalGeneration"), dtype="bfloat16")


@pytest.mark.parametrize("how", ["as the machine does", "throughout"])
def test_half_precision_stays_near(how: str) -> None:
    model = half("untied", how)
    batch = model.frontend([noise(20_801)])
    mine, full = model(batch).hidden, ours("untied")(batch).hidden
    assert float((mine - full).square().mean().sqrt()) <= 0.1 * float(full.square().mean().sqrt())
    given = [2, 9, 11, 0, 44, 1, 7]
    mine, full = (each.teach(batch, [given]).logits for each in (model, ours("untied")))
    assert float((mine - full).square().mean().sqrt()) <= 0.1 * float(full.square().mean().sqrt())


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("how", ["as the machine does", "throughout"])
def test_half_precision_writes_the_same_in_a_batch(how: str, beams: int) -> None:
    model, random = half("untied", how), np.random.default_rng(5)
    clips = [noise(int(samples), seed) for seed, samples in enumerate(random.integers(4_000, 16_000, 24))]
    search = Generation(beams=beams, max_length=12)
    alone = [texts(model, model.frontend([clip]), search)[0] for clip in clips]
    together = [text for i in range(0, 24, 12) for text in texts(model, model.frontend(clips[i : i + 12]), search)]
    assert np.mean([one == other for one, other in zip(alone, together, strict=True)]) >= 0.95
    assert len(set(map(tuple, alone))) > 10
