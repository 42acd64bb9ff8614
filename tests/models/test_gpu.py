"""An accelerator gives what the CPU gives: frames, texts, readings, words with times, alignments."""

from pathlib import Path

import numpy as np
import pytest
import torch

from jobs.demo.recordings import heard
from jobs.demo.truth import read_truth
from models import load_model
from models.alignment import Alignment
from models.language_model import load_language_model
from models.layers.packing import Packed
from models.protocol import CtcSearch, FrameLogits, Generation, Tokens
from models.search import read_tokens
from models.transcript import Transcript
from tests.models.reference import noise, published
from tests.models.writing import folder, ours

pytestmark = pytest.mark.gpu

DEVICE = "cuda"
DEMO = Path(__file__).parents[2] / "jobs" / "demo"
KENLM = Path(__file__).parent / "fixtures" / "kenlm"
SURFACES = ["", " ", "a", "b"]
SEARCHES = {
    "a beam": lambda: CtcSearch(beam=8, n_best=3, temperature=1.3),
    "hot words": lambda: CtcSearch(beam=8, n_best=3, hotwords=("ba", "ab"), word_bonus=0.3),
    "an ARPA file": lambda: CtcSearch(beam=8, n_best=3, language_model=load_language_model(KENLM / "small.arpa")),
    "a KenLM binary": lambda: CtcSearch(beam=8, n_best=3, language_model=load_language_model(KENLM / "small.probing")),
}
SPOKEN = [truth for truth in read_truth(DEMO / "corpus") if truth.file.startswith("loose/flac")][:4]

NAMES = ["hubert-group-ctc", "hubert-layer-ctc", "unispeech-layer-ctc", "sew-d-group-ctc", "lasr-ctc"]
CLIPS = [noise(samples) for samples in (4_000, 16_000, 5_003, 40_001)]


@pytest.fixture(autouse=True)
def exact_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those in tensor cores' 10 bits, which torch takes for float32 where it is not told otherwise."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


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


@pytest.mark.parametrize("beams", [1, 5])
@pytest.mark.parametrize("name", ["untied", "unscaled-untied", "large-vocabulary"])
def test_a_gpu_writes_what_the_cpu_writes(name: str, beams: int) -> None:
    here, search = ours(name), Generation(beams=beams, max_length=14)
    there = load_model(folder(name, "ForConditionalGeneration"), device=DEVICE)
    found = (model.predict(model.frontend(CLIPS), search) for model in (there, here))
    for mine, theirs in zip(*found, strict=True):
        assert isinstance(mine, Tokens)
        assert isinstance(theirs, Tokens)
        assert mine.ids.tolist() == theirs.ids.tolist()
        np.testing.assert_allclose(mine.scores, theirs.scores, atol=1e-3)


@pytest.mark.parametrize("search", SEARCHES)
def test_a_gpu_finds_the_readings_that_the_cpu_finds(search: str) -> None:
    lengths = (7, 31, 1, 18)
    logits = 1.5 * torch.randn(sum(lengths), 4, generator=torch.Generator().manual_seed(2))
    found = (
        read_tokens(Packed(logits.to(device), lengths), 0, SEARCHES[search](), SURFACES) for device in (DEVICE, "cpu")
    )
    for mine, theirs in zip(*found, strict=True):
        assert [each.ids for each in mine.alternatives] == [each.ids for each in theirs.alternatives]
        np.testing.assert_allclose(*([each.score for each in one.alternatives] for one in (mine, theirs)), atol=1e-6)
        assert (mine.starts.tolist(), mine.ends.tolist()) == (theirs.starts.tolist(), theirs.ends.tolist())
        np.testing.assert_allclose(mine.scores, theirs.scores, atol=1e-6)


@pytest.mark.parametrize("family", ["lasr", "hubert", "unispeech", "sew-d", "speech2text"])
def test_a_gpu_hears_the_words_that_the_cpu_hears(family: str) -> None:
    """Trained models: words are the same, and begin and end within a frame of one another."""
    clips = [heard((DEMO / "corpus" / truth.file).read_bytes())[0] for truth in SPOKEN]
    here, there = (load_model(DEMO / "checkpoints" / family, device=device) for device in ("cpu", DEVICE))
    for mine, theirs in zip(there.transcribe(clips), here.transcribe(clips), strict=True):
        assert isinstance(mine, Transcript)
        assert isinstance(theirs, Transcript)
        assert mine.text == theirs.text != ""
        for one, other in zip(mine.words, theirs.words, strict=True):
            assert abs(one.start - other.start) <= here.clock.step
            assert abs(one.end - other.end) <= here.clock.step
            assert one.confidence == pytest.approx(other.confidence, abs=1e-2)


@pytest.mark.parametrize("family", ["lasr", "hubert"])
def test_a_gpu_lays_texts_where_the_cpu_does(family: str) -> None:
    clips = [heard((DEMO / "corpus" / truth.file).read_bytes())[0] for truth in SPOKEN]
    texts = [f"{truth.text} 1984" for truth in SPOKEN]
    here, there = (load_model(DEMO / "checkpoints" / family, device=device) for device in ("cpu", DEVICE))
    found = (model.align(model.frontend(clips), texts) for model in (there, here))
    for mine, theirs in zip(*found, strict=True):
        assert isinstance(mine, Alignment)
        assert isinstance(theirs, Alignment)
        assert mine.loss == pytest.approx(theirs.loss, rel=1e-3)
        for one, other in zip(mine.words, theirs.words, strict=True):
            assert (one.text, one.aligned, one.missing) == (other.text, other.aligned, other.missing)
            assert abs(one.start - other.start) <= here.clock.step
