"""An accelerator gives what the CPU gives."""

import pytest
import torch

from models import load_model
from models.protocol import FrameLogits
from tests.models.reference import noise, published

pytestmark = pytest.mark.gpu

NAMES = ["hubert-group-ctc", "hubert-layer-ctc", "unispeech-layer-ctc", "sew-d-group-ctc", "lasr-ctc"]
CLIPS = [noise(samples) for samples in (4_000, 16_000, 5_003, 40_001)]


@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_reads_what_the_cpu_reads(name: str) -> None:
    here, there = (load_model(published(name).folder, device=device) for device in ("cpu", "cuda"))
    mine, theirs = (model(model.frontend(CLIPS)) for model in (there, here))
    assert isinstance(mine, FrameLogits)
    assert isinstance(theirs, FrameLogits)
    assert torch.equal(mine.lengths, theirs.lengths)
    torch.testing.assert_close(mine.logits.cpu(), theirs.logits, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_in_bfloat16_spells_the_same_alone_and_in_company(name: str) -> None:
    model = load_model(published(name).folder, dtype="bfloat16", device="cuda")
    clips = [noise(4_000 + 61 * i, seed=i) for i in range(200)]
    alone = [model.predict(model.frontend([clip]))[0] for clip in clips]
    together = model.predict(model.frontend(clips))
    same = [list(a.ids) == list(b.ids) for a, b in zip(alone, together, strict=True)]  # type: ignore[union-attr]
    assert sum(same) >= 0.99 * len(same)
