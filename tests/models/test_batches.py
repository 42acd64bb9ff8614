"""The company a clip keeps changes nothing: alone, in any batch, at any place, padded to any width.

What one clip is (too short, silent, not a number, of another type) stays its own affair.
"""

from collections.abc import Callable
from functools import cache
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from models import checkpoint, load_model
from models.layers import packing
from models.model import SpeechModel
from models.protocol import (
    ClipLogits,
    Embedding,
    FrameLogits,
    HiddenStates,
    Output,
    Padded,
    Prediction,
    PretrainingStates,
    Refused,
    Scores,
    Tokens,
    Units,
)
from tests.models.reference import CASES, TOLERANCE, Clip, alone, difference, noise, published, shortest

MIXED = (5_003, 20_801, 2_500, 12_345, 20_801, 7_777)
COMPANIES = {
    "mixed": MIXED,
    "turned round": MIXED[::-1],
    "a crowd, some without a frame": (*MIXED[:3], 0, *MIXED[3:]) * 9,
}
NAMES = (
    "hubert-group-ctc", "hubert-layer-ctc", "hubert-raw-ctc", "hubert-batch-norm-positions-ctc",
    "hubert-group-classes", "hubert-weighted-stable-classes", "hubert-group-stable-encoder",
    "unispeech-layer-ctc", "unispeech-group-units", "unispeech-layer-units", "unispeech-weighted-classes",
    "sew-d-group-ctc", "sew-d-layer-ctc", "sew-d-thirds-ctc", "sew-d-unsqueezed-ctc", "sew-d-group-classes",
    "sew-d-layer-weighted-classes", "sew-d-few-buckets-encoder",
    "lasr-ctc", "lasr-biased-encoder", "lasr-odd-kernel-ctc", "lasr-gaps-encoder",
)  # fmt: skip
SPELLERS = [name for name in NAMES if name.endswith("ctc")]
ONE_EACH = ("hubert-group-ctc", "unispeech-group-units", "sew-d-group-classes", "sew-d-layer-ctc", "lasr-ctc")


@cache
def ours(name: str, dtype: str = "float32") -> SpeechModel:
    """The case through the public door."""
    return load_model(published(name).folder, dtype=dtype)


@cache
def throughout(name: str) -> SpeechModel:
    """The case multiplied in bfloat16, also on a machine that is quicker in float32."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "multiplies", lambda *_: True)
        model = load_model(published(name).folder, dtype="bfloat16")
    assert next(model.parameters()).dtype == torch.bfloat16
    return model


HALVES = {"as the machine does": lambda name: ours(name, "bfloat16"), "throughout": throughout}


@cache
def by_itself(name: str, samples: int, seed: int = 0) -> list[Tensor]:
    """All outputs for one clip in a batch of its own."""
    return read(ours(name), [noise(samples, seed)])[0]


@pytest.mark.parametrize("company", COMPANIES)
@pytest.mark.parametrize("name", NAMES)
def test_a_clip_reads_the_same_alone_and_in_a_batch(name: str, company: str) -> None:
    lengths = COMPANIES[company]
    for samples, mine in zip(lengths, read(ours(name), [noise(n) for n in lengths]), strict=True):
        if samples:
            assert_same(mine, by_itself(name, samples))


@pytest.mark.parametrize("name", NAMES)
def test_a_device_that_reads_all_clips_at_once_reads_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way that an accelerator takes, on whatever is here."""
    monkeypatch.setattr(packing, "fills", lambda _: False)
    if positions := getattr(ours(name).encoder, "positions", None):
        monkeypatch.setattr(positions, "spectrum", None)
    for samples, mine in zip(MIXED, read(ours(name), [noise(samples) for samples in MIXED]), strict=True):
        assert_same(mine, by_itself(name, samples))


@pytest.mark.parametrize("extra", [1, 777, 30_000])
@pytest.mark.parametrize("name", NAMES)
def test_a_clip_reads_the_same_however_far_it_is_padded(name: str, extra: int) -> None:
    model = ours(name)
    batch = model.frontend([noise(samples) for samples in MIXED[:3]])
    width = extra if CASES[name].family != "lasr" else -(-extra // 160)
    sides = [0, 0] * (batch.inputs.dim() - 2) + [0, width]
    wide = Padded(F.pad(batch.inputs, sides), batch.lengths, batch.refusals)
    assert wide.inputs.shape[1] == batch.inputs.shape[1] + width
    for samples, mine in zip(MIXED[:3], read_padded(model, wide), strict=True):
        assert_same(mine, by_itself(name, samples))


@pytest.mark.parametrize("name", NAMES)
def test_what_follows_a_clip_in_its_row_is_not_read(name: str) -> None:
    model = ours(name)
    batch = model.frontend([noise(5_003), noise(20_801)])
    dirty = batch.inputs.clone()
    dirty[0, int(batch.lengths[0]) :] = 3.0
    soiled = Padded(dirty, batch.lengths, batch.refusals)
    for samples, mine in zip((5_003, 20_801), read_padded(model, soiled), strict=True):
        assert_same(mine, by_itself(name, samples))


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_zero_after_a_clip_ends(name: str) -> None:
    model = ours(name)
    batch = model.frontend([noise(5_003), noise(20_801)])
    assert not batch.inputs[0, int(batch.lengths[0]) :].any()
    layers = model.hidden_states(batch)
    for rows in (*layers.states, *(rows for rows, ends in _padded(model(batch)) if ends)):
        ends = layers.lengths if any(rows is state for state in layers.states) else model(batch).lengths
        assert rows.shape[1] == int(ends.max()) > int(ends[0])
        assert not rows[0, int(ends[0]) :].any()


@pytest.mark.parametrize("name", ONE_EACH)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_clip_reads_the_same_in_any_company(name: str, data: st.DataObject) -> None:
    fewest = shortest(CASES[name])
    company = st.lists(st.tuples(st.integers(fewest, 9_000), st.integers(0, 3)), min_size=1, max_size=6)
    clips = data.draw(company)
    for (samples, seed), mine in zip(clips, read(ours(name), [noise(*clip) for clip in clips]), strict=True):
        assert_same(mine, by_itself(name, samples, seed))


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", ["hubert-group-ctc", "unispeech-layer-ctc", "sew-d-group-ctc", "lasr-ctc"])
def test_half_precision_spells_the_same_in_a_batch(name: str, half: str) -> None:
    model, random = HALVES[half](name), np.random.default_rng(5)
    clips = [noise(int(samples), seed) for seed, samples in enumerate(random.integers(4_000, 16_000, 200))]
    alone_ = [model.predict(model.frontend([clip]))[0] for clip in clips]
    batches = [clips[start : start + 25] for start in range(0, len(clips), 25)]
    together = [prediction for batch in batches for prediction in model.predict(model.frontend(batch))]
    same = [torch.equal(_spelt(a), _spelt(b)) for a, b in zip(alone_, together, strict=True)]
    assert np.mean(same) >= 0.99
    assert sum(len(_spelt(prediction)) for prediction in together) > 1_000


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_stays_near(name: str, half: str) -> None:
    model = HALVES[half](name)
    if name.endswith("units") and next(model.parameters()).dtype == torch.bfloat16:
        pytest.skip("a code is a choice, and where two are nearly as good, rounding makes it")
    for mine, full in zip(read(model, [noise(20_801)])[0], by_itself(name, 20_801), strict=True):
        if full.is_floating_point() and full.numel():
            assert float((mine - full).square().mean().sqrt()) <= 0.1 * float(full.square().mean().sqrt())


@pytest.mark.parametrize("name", SPELLERS)
def test_tokens_are_the_collapsed_best_classes(name: str) -> None:
    model, blank = ours(name), published(name).model.config.pad_token_id
    batch = model.frontend([noise(samples) for samples in MIXED])
    out, predictions = model(batch), model.predict(batch)
    assert sum(len(prediction.ids) for prediction in predictions) > 20
    for logits, frames, prediction in zip(out.logits, out.lengths, predictions, strict=True):
        posteriors = logits[: int(frames)].softmax(-1)
        runs = [list(run) for _, run in groupby(range(int(frames)), lambda t, p=posteriors: int(p[t].argmax()))]
        kept = [(int(posteriors[run[0]].argmax()), run) for run in runs]
        kept = [(token, run) for token, run in kept if token != blank]
        assert prediction.ids.tolist() == [token for token, _ in kept]
        assert prediction.starts.tolist() == [run[0] for _, run in kept]
        assert prediction.ends.tolist() == [run[-1] + 1 for _, run in kept]
        scores = [float(posteriors[run, token].mean()) for token, run in kept]
        np.testing.assert_allclose(prediction.scores, scores, atol=1e-5)


@pytest.mark.parametrize("name", ["hubert-group-classes", "sew-d-layer-weighted-classes"])
def test_scores_are_the_classes_posteriors(name: str) -> None:
    batch = ours(name).frontend([noise(samples) for samples in MIXED])
    expected = ours(name)(batch).logits.softmax(-1)
    for row, prediction in zip(expected, ours(name).predict(batch), strict=True):
        np.testing.assert_allclose(prediction.values, row, atol=1e-5)


@pytest.mark.parametrize("name", ["hubert-group-stable-encoder", "lasr-biased-encoder"])
def test_an_embedding_is_the_mean_frame(name: str) -> None:
    batch = ours(name).frontend([noise(samples) for samples in MIXED])
    out = ours(name)(batch)
    for hidden, frames, prediction in zip(out.hidden, out.lengths, ours(name).predict(batch), strict=True):
        np.testing.assert_allclose(prediction.vector, hidden[: int(frames)].mean(0), atol=1e-5)


def test_units_are_the_codes() -> None:
    model = ours("unispeech-group-units")
    batch = model.frontend([noise(samples) for samples in MIXED])
    out = model(batch)
    for codes, frames, prediction in zip(out.codes, out.lengths, model.predict(batch), strict=True):
        assert prediction.codes.tolist() == codes[: int(frames)].tolist()
        assert (codes[int(frames) :] == -1).all()


@pytest.mark.parametrize("short", ["nothing", "one sample", "almost a frame"])
@pytest.mark.parametrize("name", NAMES)
def test_a_clip_too_short_for_a_frame_is_empty(name: str, short: str) -> None:
    unsqueezed = shortest(CASES[name]) if CASES[name].family != "sew-d" else 400
    samples = {"nothing": 0, "one sample": 1, "almost a frame": unsqueezed - 1}[short]
    model, clips = ours(name), [noise(5_003), noise(samples), noise(2_500)]
    together = model.predict(model.frontend(clips))
    assert _is_empty(together[1])
    assert not _is_empty(together[0])
    assert _is_empty(model.predict(model.frontend([noise(samples)]))[0])
    for place, length in ((0, 5_003), (2, 2_500)):
        assert_same(read(model, clips)[place], by_itself(name, length))


@pytest.mark.parametrize("name", ["sew-d-group-ctc", "sew-d-thirds-ctc", "sew-d-layer-weighted-classes"])
def test_a_clip_too_short_to_squeeze_disturbs_nobody(name: str) -> None:
    """One hidden frame, no squeezed one: the reference cannot read it at all."""
    clips = [noise(5_003), noise(450), noise(2_500)]
    together = read(ours(name), clips)
    assert len(ours(name).predict(ours(name).frontend(clips[1:2]))) == 1
    assert all(rows.isfinite().all() for rows in together[1])
    for place, samples in ((0, 5_003), (2, 2_500)):
        assert_same(together[place], by_itself(name, samples))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", NAMES)
def test_a_clip_that_is_not_a_number_is_refused_alone(name: str, bad: float) -> None:
    model, clips = ours(name), [noise(5_003), noise(6_000), noise(2_500)]
    clips[1][4_321] = bad
    batch = model.frontend(clips)
    predictions = model.predict(batch)
    assert [type(prediction) is Refused for prediction in predictions] == [False, True, False]
    assert batch.refusals[1]
    assert predictions[1] == Refused(batch.refusals[1])
    assert int(batch.lengths[1]) == 0
    for place, samples in ((0, 5_003), (2, 2_500)):
        assert_same(read(model, clips)[place], by_itself(name, samples))


@pytest.mark.parametrize("name", NAMES)
def test_no_clips_give_no_predictions(name: str) -> None:
    model = ours(name)
    batch = model.frontend([])
    assert model.predict(batch) == model.vectors(batch, [0, None]) == model.quiet(batch) == []
    assert len(batch.lengths) == len(batch.refusals) == len(batch.inputs) == 0
    assert all(state.shape[:2] == (0, 0) for state in model.hidden_states(batch).states)


@pytest.mark.parametrize("clips", [[], [noise(0)], [noise(1), noise(300)], [np.full(5_003, np.nan, np.float32)]])
@pytest.mark.parametrize("name", ONE_EACH)
def test_a_batch_without_a_frame_has_an_output(name: str, clips: list[Clip]) -> None:
    model = ours(name)
    out = model(model.frontend(clips))
    assert out.lengths.tolist() == [0] * len(clips)
    assert all(len(rows) == len(clips) and not rows.any() for rows, _ in _padded(out))


@pytest.mark.parametrize("clips", [[], [noise(1)]])
@pytest.mark.parametrize("name", ["hubert-group-ctc", "lasr-ctc", "sew-d-group-classes"])
def test_where_no_clip_has_a_frame_a_loss_would_be_no_number(name: str, clips: list[Clip]) -> None:
    label = 3 if name.endswith("classes") else [3]
    with pytest.raises(ValueError, match="no clip has a frame"):
        ours(name).loss(ours(name).frontend(clips), [label] * len(clips))


@pytest.mark.parametrize("name", ["hubert-raw-ctc", "sew-d-group-ctc", "lasr-ctc"])
def test_whole_numbers_read_as_their_floats(name: str) -> None:
    whole = (noise(5_003) * 32_767).astype(np.int16)
    expected = read(ours(name), [whole.astype(np.float32) / 32_768])[0]
    assert_same(read(ours(name), [whole])[0], expected)
    assert_same(read(ours(name), [whole.astype(np.int32) << 16])[0], expected)


KINDS: dict[str, Callable[[Clip], npt.ArrayLike]] = {
    "doubles": np.float64,
    "tensor": torch.from_numpy,
    "tensor of doubles": lambda clip: torch.from_numpy(clip).double(),
    "channel of a recording": lambda clip: np.stack([clip, -clip], axis=1)[:, 0],
    "buffer of a table": lambda clip: np.frombuffer(clip.tobytes(), np.float32),
    "backwards view": lambda clip: clip[::-1].copy()[::-1],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["hubert-group-ctc", "hubert-raw-ctc", "lasr-ctc"])
def test_any_floats_read_the_same(name: str, kind: str) -> None:
    clip, expected = noise(5_003), by_itself(name, 5_003)
    assert_same(read(ours(name), [KINDS[kind](clip)])[0], expected)
    assert np.array_equal(clip, noise(5_003)), "the caller's samples were changed"


@pytest.mark.filterwarnings("error")
def test_a_read_only_clip_is_no_cause_for_a_warning() -> None:
    """What comes out of a table always is, and torch warns of it once per process."""
    torch.set_warn_always(True)
    try:
        ours("hubert-group-ctc").frontend([np.frombuffer(noise(5_003).tobytes(), np.float32)])
    finally:
        torch.set_warn_always(False)


@pytest.mark.parametrize("shape", [(2, 4_000), (4_000, 1), ()])
@pytest.mark.parametrize("name", ["hubert-group-ctc", "lasr-ctc"])
def test_a_clip_of_another_shape_is_a_clear_mistake(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="1-D"):
        ours(name).frontend([noise(4_000), np.zeros(shape, np.float32)])


@pytest.mark.parametrize("name", NAMES)
def test_silence_beside_noise_reads_as_the_reference_reads_it_alone(name: str) -> None:
    silence = np.zeros(8_000, np.float32)
    mine = read(ours(name), [noise(9_999), silence])[1][0]
    theirs = next(value for value in alone(published(name), silence).values() if isinstance(value, Tensor))
    assert difference(mine, theirs[0]) <= TOLERANCE


@pytest.mark.parametrize("name", ["hubert-layer-ctc", "sew-d-group-ctc", "lasr-sum-ctc", "hubert-group-classes"])
def test_what_a_clip_costs_is_its_own_affair(name: str) -> None:
    model, classes = ours(name), name.endswith("classes")
    labels = [2, 0, 1] if classes else [[3, 4, 4], [6], [1, 2]]
    clips = [noise(5_003), noise(20_801), noise(9_999)]
    together = model.loss(model.frontend(clips), labels)
    for clip, label, cost in zip(clips, labels, together.per_clip, strict=True):
        single = model.loss(model.frontend([clip]), [label]).per_clip[0]
        assert difference(cost[None], single[None]) <= TOLERANCE


def read(model: SpeechModel, clips: list[Clip]) -> list[list[Tensor]]:
    """Everything that a model says of each clip, cut to the clip's own frames."""
    return read_padded(model, model.frontend(clips))


@torch.inference_mode()
def read_padded(model: SpeechModel, batch: Padded) -> list[list[Tensor]]:
    """The same, from inputs."""
    out, layers, predictions = model(batch), model.hidden_states(batch), model.predict(batch)
    clips: list[list[Tensor]] = []
    for index, prediction in enumerate(predictions):
        said = [rows[index, : int(out.lengths[index])] if long else rows[index] for rows, long in _padded(out)]
        said += [state[index, : int(layers.lengths[index])] for state in layers.states]
        clips.append([*said, _spelt(prediction)])
    return clips


def assert_same(mine: list[Tensor], expected: list[Tensor]) -> None:
    """Within rounding, and with the same tokens."""
    assert len(mine) == len(expected)
    for left, right in zip(mine, expected, strict=True):
        assert difference(left.float(), right.float()) <= TOLERANCE
    assert mine[-1].tolist() == expected[-1].tolist()


def _padded(out: Output) -> list[tuple[Tensor, bool]]:
    """The tensors of an output, and whether they have one row per frame."""
    match out:
        case FrameLogits():
            return [(out.logits, True)]
        case ClipLogits():
            return [(out.logits, False)]
        case HiddenStates():
            return [(out.hidden, True)]
        case PretrainingStates():
            return [(out.projected, True), (out.projected_quantized, True), (out.perplexity[:, None], False)]


def _spelt(prediction: Prediction) -> Tensor:
    """What a prediction decides: tokens, a class, units; nothing for an embedding."""
    match prediction:
        case Tokens():
            return torch.from_numpy(prediction.ids)
        case Scores():
            return torch.from_numpy(prediction.values.argsort()[-1:])
        case Units():
            return torch.from_numpy(prediction.codes)
        case Embedding() | Refused():
            return torch.tensor([])


def _is_empty(prediction: Prediction) -> bool:
    match prediction:
        case Embedding():
            return not len(prediction.vector)
        case Refused():
            return False
        case _:
            return not len(_spelt(prediction))


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if case.architecture.endswith("Classification")])
def test_a_clip_that_was_not_heard_does_not_move_the_mean_loss(name: str) -> None:
    model = ours(name)
    clips = [noise(5_003), np.full(6_000, np.nan, np.float32), noise(7_000), noise(1)]
    values = np.linspace(0, 1, 4 * len(model.labels)).reshape(4, -1)
    single = model.head.config.problem_type == "single_label_classification"
    labels = torch.tensor([1, 0, 1, 0]) if single else torch.tensor(values)
    together = model.loss(model.frontend(clips), labels)
    heard = model.loss(model.frontend([clips[0], clips[2]]), labels[[0, 2]])
    torch.testing.assert_close(together.reduced, heard.reduced)
    assert together.per_clip[[1, 3]].tolist() == [0.0, 0.0]
