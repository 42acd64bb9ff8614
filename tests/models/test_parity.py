"""A clip read alone equals the reference's reading of it, over the grid of configurations.

Lengths start at the fewest samples that the reference can read: most mistakes with edges show there first.
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers.modeling_outputs import ModelOutput

from models import load_model
from models.model import SpeechModel
from models.protocol import ClipLogits, FrameLogits, HiddenStates, Output, PretrainingStates
from tests.models.reference import (
    CASES,
    TOLERANCE,
    Case,
    Clip,
    Published,
    Settings,
    alone,
    difference,
    features,
    noise,
    publish,
    published,
    shortest,
)

KINDS = {"CTC": FrameLogits, "Classification": ClipLogits, "PreTraining": PretrainingStates}
BY_HEAD = {head: [name for name in CASES if name.endswith(head)] for head in ("ctc", "classes", "units")}
LENGTHS = {"shortest": 0, "one-more": 1, "odd": 5_003, "seconds": 20_801}
MODES = (torch.inference_mode, torch.enable_grad)
"""With gradients wanted, nothing may be kept from one reading to the next."""
LONG = ("hubert-layer-ctc", "unispeech-group-units", "sew-d-group-ctc", "lasr-ctc")
LEAN = (
    "hubert-group-ctc", "hubert-group-classes", "unispeech-group-ctc", "unispeech-group-units",
    "sew-d-group-ctc", "sew-d-group-classes", "lasr-ctc", "lasr-encoder",
)  # fmt: skip
TOO_SHORT = ("hubert-group-ctc", "unispeech-group-bias-ctc", "sew-d-layer-ctc", "lasr-sum-ctc")
# fmt: off
REAL: dict[str, Case] = {
    case.name: case
    for case in (
        Case("hubert-base", "hubert", "HubertForCTC", {}),
        Case("sew-d-tiny", "sew-d", "SEWDForCTC", {
            "hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536,
            "num_conv_pos_embeddings": 31,
        }),
        Case("medasr", "lasr", "LasrForCTC", {}),
        Case("unispeech-large", "unispeech", "UniSpeechForPreTraining", {
            "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
            "intermediate_size": 4096, "feat_extract_norm": "layer", "conv_bias": True,
            "do_stable_layer_norm": True, "codevector_dim": 768, "proj_codevector_dim": 768,
        }),
    )
}
HEAVY = ("unispeech-large",)
# fmt: on


@cache
def ours(name: str) -> SpeechModel:
    """The same checkpoint through the public door."""
    return load_model(published(name).folder)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", CASES)
def test_a_clip_equals_the_reference(name: str, length: str) -> None:
    samples = _samples(CASES[name], length)
    _assert_equal(ours(name), published(name), noise(samples))


@pytest.mark.parametrize("name", CASES)
def test_every_layer_equals_the_reference(name: str) -> None:
    clip = noise(9_999)
    model, theirs = ours(name), alone(published(name), clip).hidden_states
    for mode in MODES:
        with mode():
            layers = model.hidden_states(model.frontend([clip]))
        for mine, reference in zip(layers.states, theirs, strict=True):
            assert difference(mine, reference) <= TOLERANCE
        assert layers.lengths.tolist() == [theirs[0].shape[1]]


@pytest.mark.parametrize("name", LONG)
def test_half_a_minute_equals_the_reference(name: str) -> None:
    _assert_equal(ours(name), published(name), noise(480_017))


@pytest.mark.parametrize("name", [name for name in CASES if "mask" in name or "raw" in name or name in LONG])
def test_silence_equals_the_reference(name: str) -> None:
    _assert_equal(ours(name), published(name), np.zeros(8_000, np.float32))


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in HEAVY else ()) for name in REAL])
def test_a_published_size_equals_the_reference(name: str) -> None:
    reference = publish(REAL[name])
    _assert_equal(load_model(reference.folder), reference, noise(32_000))


@pytest.mark.parametrize("name", BY_HEAD["ctc"])
def test_the_cost_of_one_clip_equals_the_reference(name: str) -> None:
    clip, labels, reference, model = noise(20_801), _spelling(name, 6), published(name), ours(name)
    everything = torch.ones(features(reference, clip).shape[:2], dtype=torch.long)
    theirs = alone(reference, clip, attention_mask=everything, labels=torch.tensor([labels])).loss
    assert difference(model.loss(model.frontend([clip]), [labels]).reduced, theirs) <= TOLERANCE


@pytest.mark.parametrize("name", BY_HEAD["ctc"])
def test_the_cost_of_spelled_labels_equals_the_reference(name: str) -> None:
    clips = [noise(20_801), noise(9_999), noise(14_000)]
    labels = [_spelling(name, length) for length in (3, 1, 5)]
    _assert_costs_equal(ours(name), published(name), clips, labels)


@pytest.mark.parametrize("name", TOO_SHORT)
def test_a_clip_too_short_for_its_labels_costs_what_the_reference_says(name: str) -> None:
    clips = [noise(9_999), noise(4_000)]
    _assert_costs_equal(ours(name), published(name), clips, [_spelling(name, 4), _spelling(name, 60)])


@pytest.mark.parametrize("name", ["hubert-layer-ctc", "sew-d-group-ctc", "lasr-ctc"])
def test_a_clip_without_a_word_has_a_cost(name: str) -> None:
    clips = [noise(9_999), noise(14_000)]
    _assert_costs_equal(ours(name), published(name), clips, [[], _spelling(name, 4)])


@pytest.mark.parametrize("name", ["hubert-layer-ctc", "unispeech-group-ctc", "sew-d-layer-ctc", "lasr-ctc"])
@pytest.mark.parametrize("filler", ["ignored", "blank"])
def test_labels_may_be_padded_as_the_reference_allows(name: str, filler: str) -> None:
    """Below zero, or with the blank, which no label can hold."""
    padding = -100 if filler == "ignored" else published(name).model.config.pad_token_id
    clips, labels = [noise(9_999), noise(14_000)], [_spelling(name, 2), _spelling(name, 4)]
    _assert_costs_equal(ours(name), published(name), clips, [[*labels[0], padding, padding], labels[1]])


@pytest.mark.parametrize("name", BY_HEAD["classes"])
def test_the_cost_of_a_class_equals_the_reference(name: str) -> None:
    clips, labels = [noise(20_801), noise(9_999), noise(14_000)], [2, 0, 1]
    theirs = [
        alone(published(name), clip, labels=torch.tensor([label])) for clip, label in zip(clips, labels, strict=True)
    ]
    losses, model = torch.stack([out.loss for out in theirs]), ours(name)
    loss = model.loss(model.frontend(clips), labels)
    assert difference(loss.per_clip, losses) <= TOLERANCE
    assert difference(loss.reduced, losses.mean()) <= TOLERANCE


@pytest.mark.parametrize("name", BY_HEAD["units"])
def test_units_are_the_codes_that_the_reference_picks(name: str) -> None:
    clip, quantiser, scores = noise(20_801), published(name).model.quantizer, []
    hook = quantiser.weight_proj.register_forward_hook(lambda _module, _inputs, output: scores.append(output))
    alone(published(name), clip)
    hook.remove()
    theirs = scores[0].unflatten(-1, (quantiser.num_groups, quantiser.num_vars)).argmax(-1)
    codes = ours(name)(ours(name).frontend([clip])).codes
    assert codes.tolist() == theirs.tolist()
    assert len(codes.unique()) > 4


@pytest.mark.parametrize("name", ["hubert-group-ctc", "unispeech-layer-ctc", "sew-d-group-ctc"])
def test_an_older_spelling_of_the_weights_reads_the_same(name: str, tmp_path: Path) -> None:
    reference = published(name)
    older = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    state = reference.model.state_dict()
    for new, old in older.items():
        state = {key.replace(new, old): tensor for key, tensor in state.items()}
    assert sum(key.endswith(("weight_g", "weight_v")) for key in state) == 2
    torch.save(state, tmp_path / "pytorch_model.bin")
    for file in ("config.json", "preprocessor_config.json"):
        (tmp_path / file).write_text((reference.folder / file).read_text())
    _assert_equal(load_model(tmp_path, allow_pickle=True), reference, noise(5_003))


@pytest.mark.parametrize("name", LEAN)
def test_what_a_configuration_leaves_out_is_the_published_default(name: str, tmp_path: Path) -> None:
    """Checkpoints of older releases state only what differs from the defaults of their time."""
    reference, folder = published(name), tmp_path / name
    copytree(reference.folder, folder)
    stated = json.loads((folder / "config.json").read_text())
    lean = _without_defaults(stated, json.loads(type(reference.model.config)().to_json_string()))
    assert len(json.dumps(lean)) < 0.7 * len(json.dumps(stated))
    (folder / "config.json").write_text(json.dumps(lean | {"architectures": stated["architectures"]}))
    model, clips = load_model(folder), [noise(9_999), noise(4_000)]
    _assert_equal(model, reference, clips[0])
    if name.endswith("ctc"):
        for length in (2, 60):
            _assert_costs_equal(model, reference, clips, [_spelling(name, 4), _spelling(name, length)])


@pytest.mark.parametrize("name", CASES)
def test_the_reference_has_something_to_say(name: str) -> None:
    """Guards the grid itself: a reference that saturates or repeats itself would pass anything."""
    loud, soft = (alone(published(name), noise(20_801, seed)) for seed in (1, 2))
    for out in (loud, soft):
        assert 0.05 < float(_first(out).square().mean().sqrt()) < 20
    assert difference(_first(loud), _first(soft)) > 20 * TOLERANCE
    if name.endswith("ctc"):
        assert len(loud.logits.argmax(-1).unique()) > 2


def _samples(case: Case, length: str) -> int:
    fewest = shortest(case)
    return {"shortest": fewest, "one-more": fewest + 1}.get(length, LENGTHS[length])


def _first(out: ModelOutput) -> Tensor:
    return next(value for value in out.values() if isinstance(value, Tensor))


def _assert_equal(model: SpeechModel, reference: Published, clip: Clip) -> None:
    theirs = alone(reference, clip)
    for mode in MODES:
        with mode():
            out = model(model.frontend([clip]))
        assert type(out) is _kind(reference.case.architecture)
        for field, mine in _named_as_published(out).items():
            value = theirs[field]
            assert difference(mine, value if value.dim() else value[None]) <= TOLERANCE, field
        assert out.lengths.tolist() == [_frames(reference, theirs, len(clip))]


def _kind(architecture: str) -> type:
    return next((kind for head, kind in KINDS.items() if architecture.endswith(head)), HiddenStates)


def _named_as_published(out: Output) -> dict[str, Tensor]:
    match out:
        case FrameLogits() | ClipLogits():
            return {"logits": out.logits}
        case HiddenStates():
            return {"last_hidden_state": out.hidden}
        case PretrainingStates():
            return {
                "projected_states": out.projected,
                "projected_quantized_states": out.projected_quantized,
                "codevector_perplexity": out.perplexity,
            }


def _frames(reference: Published, theirs: ModelOutput, samples: int) -> int:
    """Frames of a clip, by the reference."""
    if reference.case.architecture != "SEWDForSequenceClassification":
        return _first(theirs).shape[1] if _first(theirs).dim() == 3 else theirs.hidden_states[0].shape[1]
    return int(reference.model._get_feat_extract_output_lengths(torch.tensor(samples)))


def _spelling(name: str, length: int) -> list[int]:
    """Labels of that many tokens, some of them repeated, none of them the blank."""
    blank = published(name).model.config.pad_token_id
    random = np.random.default_rng(length)
    return random.choice([token for token in range(12) if token != blank], length).tolist()


def _assert_costs_equal(
    model: SpeechModel, reference: Published, clips: Sequence[Clip], labels: Sequence[list[int]]
) -> None:
    """Against the reference's own loss over its readings of each clip alone."""
    config, loss = reference.model.config, model.loss(model.frontend(clips), labels)
    logits = [alone(reference, clip).logits[0] for clip in clips]
    for mine, reduction in ((loss.per_clip, "none"), (loss.reduced, config.ctc_loss_reduction)):
        theirs = reference.model.loss_function(
            logits=pad_sequence(logits, batch_first=True),
            labels=_padded(labels),
            logit_lengths=torch.tensor([len(frames) for frames in logits]),
            blank_token_id=config.pad_token_id,
            reduction=reduction,
            zero_infinity=config.ctc_zero_infinity,
        )
        assert difference(mine, theirs) <= TOLERANCE, reduction


def _without_defaults(stated: Settings, defaults: Settings) -> Settings:
    lean: Settings = {}
    for key, value in stated.items():
        default = defaults.get(key)
        if isinstance(value, dict) and isinstance(default, dict):
            lean[key] = _without_defaults(value, default)
        elif value != default or key == "model_type":
            lean[key] = value
    return lean


def _padded(labels: Sequence[list[int]]) -> Tensor:
    rows = [torch.tensor(ids, dtype=torch.long) for ids in labels]
    return pad_sequence(rows, batch_first=True, padding_value=-100)
