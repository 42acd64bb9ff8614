"""Speech2Text read alone equals the reference: every encoder state, logits for given tokens, costs, names, shapes."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from models import CheckpointError, load_model
from models.checkpoint import read_config, write_checkpoint
from models.protocol import HiddenStates, Refused
from models.registry import published_shapes
from tests.models.reference import TOLERANCE, Settings, difference, noise, published
from tests.models.writing import BARE, CASES, alone, bands, features, folder, ours, reference

GIVEN = [2, 9, 11, 0, 44, 1, 7, 7, 30]
LENGTHS = {"two frames": 560, "three frames": 720, "odd": 5_003, "seconds": 20_801}
MODES = (torch.inference_mode, torch.enable_grad)
MIXED = (5_003, 20_801, 2_500, 0, 12_345, 20_801)
PUBLISHED: dict[str, tuple[Settings, float]] = {
    "small": ({}, 29.5),
    "medium": (
        {"d_model": 512, "encoder_attention_heads": 8, "decoder_attention_heads": 8},
        71.2,
    ),
    "large": (
        {
            "d_model": 1024, "encoder_attention_heads": 16, "decoder_attention_heads": 16,
            "encoder_ffn_dim": 4096, "decoder_ffn_dim": 4096,
        },
        267.8,
    ),
}  # fmt: skip
"""The published sizes, and their millions of parameters."""


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", CASES)
def test_every_state_and_score_of_a_clip_equals_the_reference(name: str, length: str) -> None:
    clip, model = noise(LENGTHS[length]), ours(name)
    theirs = alone(name, clip, GIVEN)
    for mode in MODES:
        with mode():
            batch = model.frontend([clip])
            layers, taught, out = model.hidden_states(batch), model.teach(batch, [GIVEN]), model(batch)
        for mine, state in zip(layers.states, theirs.encoder_hidden_states, strict=True):
            assert difference(mine, state) <= TOLERANCE
        assert isinstance(out, HiddenStates)
        assert difference(out.hidden, theirs.encoder_last_hidden_state) <= TOLERANCE
        assert difference(taught.logits, theirs.logits) <= TOLERANCE
        assert taught.lengths.tolist() == [len(GIVEN)]


@pytest.mark.parametrize("name", BARE)
def test_a_bare_model_gives_both_sides_last_states(name: str) -> None:
    clip, model = noise(20_801), ours(name, "Model")
    theirs, batch = alone(name, clip, GIVEN, "Model"), model.frontend([clip])
    assert difference(model(batch).hidden, theirs.encoder_last_hidden_state) <= TOLERANCE
    assert difference(model.teach(batch, [GIVEN]).logits, theirs.last_hidden_state) <= TOLERANCE
    np.testing.assert_allclose(model.predict(batch)[0].vector, model(batch).hidden[0].mean(0), atol=1e-5)
    with pytest.raises(ValueError, match="no loss"):
        model.loss(batch, [GIVEN])


@pytest.mark.parametrize("name", CASES)
def test_what_a_text_costs_equals_the_reference(name: str) -> None:
    clips, labels = [noise(20_801), noise(720), noise(5_003)], [[9, 11, 1, 44, 2], [7, 2], [30, 30, 8, 2]]
    model, costs = ours(name), []
    loss = model.loss(model.frontend(clips), labels)
    for clip, label in zip(clips, labels, strict=True):
        with torch.no_grad():
            theirs = reference(name)(features(clip, bands(name)), labels=torch.tensor([label])).loss
        costs.append(theirs * len(label))
        assert difference(model.loss(model.frontend([clip]), [label]).reduced, theirs) <= TOLERANCE
    assert difference(loss.per_clip, torch.stack(costs)) <= TOLERANCE
    assert difference(loss.reduced, torch.stack(costs).sum() / sum(map(len, labels))) <= TOLERANCE


def test_labels_may_be_padded_below_zero() -> None:
    model = ours("plain")
    batch = model.frontend([noise(9_999), noise(5_003)])
    bare, padded = model.loss(batch, [[9, 2], [7, 8, 2]]), model.loss(batch, torch.tensor([[9, 2, -100], [7, 8, 2]]))
    torch.testing.assert_close(padded.per_clip, bare.per_clip)
    torch.testing.assert_close(padded.reduced, bare.reduced)


@pytest.mark.parametrize(
    ("labels", "words"),
    [([[9, 2]], "1 token sequences for 2 clips"), ([[9, 60], [2]], "token 60 is not below"), ([[0.5], [2]], "whole")],
)
def test_labels_that_cannot_be_meant_are_named(labels: list[list[int]], words: str) -> None:
    model = ours("plain")
    with pytest.raises(ValueError, match=words):
        model.loss(model.frontend([noise(9_999), noise(5_003)]), labels)


@pytest.mark.parametrize("clips", [0, 2])
@pytest.mark.parametrize("architecture", ["ForConditionalGeneration", "Model"])
def test_where_no_clip_has_a_frame_a_decoder_says_nothing(architecture: str, clips: int) -> None:
    model = ours("plain", architecture)
    taught = model.teach(model.frontend([noise(1)] * clips), [GIVEN] * clips)
    width = 60 if architecture == "ForConditionalGeneration" else 32
    assert taught.logits.shape == (clips, 0, width)
    assert taught.lengths.tolist() == [0] * clips


def test_gradients_reach_every_weight() -> None:
    model = load_model(folder("untied", "ForConditionalGeneration") if ours("untied") else "")
    model.requires_grad_(True)
    model.loss(model.frontend([noise(9_999), noise(5_003)]), [[9, 11, 2], [7, 2]]).reduced.backward()
    still = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert still == []


def test_a_gradient_is_the_references() -> None:
    clip, label, name = noise(9_999), [9, 11, 44, 2], "plain"
    model = load_model(folder(name, "ForConditionalGeneration") if ours(name) else "")
    model.requires_grad_(True)
    model.loss(model.frontend([clip]), [label]).reduced.backward()
    theirs = reference(name).requires_grad_(True)
    theirs.zero_grad()
    theirs(features(clip), labels=torch.tensor([label])).loss.backward()
    assert difference(model.head.decoder.embed.weight.grad, theirs.lm_head.weight.grad) <= TOLERANCE
    assert difference(model.encoder.norm_last.weight.grad, theirs.model.encoder.layer_norm.weight.grad) <= TOLERANCE


@pytest.mark.parametrize("name", CASES)
def test_a_clip_reads_the_same_alone_and_in_a_batch(name: str) -> None:
    model = ours(name)
    batch = model.frontend([noise(samples) for samples in MIXED])
    layers, taught = model.hidden_states(batch), model.teach(batch, [GIVEN[: 3 + i] for i in range(len(MIXED))])
    for index, samples in enumerate(MIXED):
        single = model.frontend([noise(samples)])
        mine, given = model.hidden_states(single), model.teach(single, [GIVEN[: 3 + index]]) if samples else None
        frames = int(mine.lengths[0])
        assert int(layers.lengths[index]) == frames
        for state, together in zip(mine.states, layers.states, strict=True):
            assert difference(together[index, :frames], state[0]) <= TOLERANCE
            assert not together[index, frames:].any()
        if given is not None:
            assert difference(taught.logits[index, : 3 + index], given.logits[0]) <= TOLERANCE


@pytest.mark.parametrize("architecture", ["Model", "ForConditionalGeneration"])
def test_a_model_written_as_a_folder_reads_the_same(architecture: str, tmp_path: Path) -> None:
    name = "three-convolutions"
    model = ours(name, architecture)
    content = dict(read_config(folder(name, architecture))) | {"generation_config": {"num_beams": 3}}
    write_checkpoint(model, content, tmp_path)
    assert json.loads((tmp_path / "generation_config.json").read_text()) == {"num_beams": 3}
    again = load_model(tmp_path)
    assert again.frontend == model.frontend
    batch = model.frontend([noise(5_003)])
    torch.testing.assert_close(again.teach(batch, [GIVEN]).logits, model.teach(batch, [GIVEN]).logits)
    theirs = getattr(transformers, f"Speech2Text{architecture}").from_pretrained(tmp_path).state_dict()
    torch.testing.assert_close(dict(theirs), dict(reference(name, architecture).state_dict()))


def test_a_clip_longer_than_the_model_was_made_for_is_refused_alone(tmp_path: Path) -> None:
    reference("untied").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"max_source_positions": 50}))
    model = load_model(tmp_path)
    exactly, beyond = noise(400 + 49 * 160), noise(400 + 50 * 160)
    batch = model.frontend([exactly, beyond, exactly])
    first, refused, last = model.predict(batch)
    assert isinstance(refused, Refused)
    assert "0.5 s" in refused.reason
    assert "max_source_positions 50" in refused.reason
    assert len(first.ids)
    assert first.ids.tolist() == last.ids.tolist() == model.predict(model.frontend([exactly]))[0].ids.tolist()
    assert model(batch).lengths.tolist()[1] == 0


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("activation_function", "nonsense", "activation_function is 'nonsense'"),
        ("encoder_attention_heads", 5, "no multiple of encoder_attention_heads"),
        ("decoder_attention_heads", 3, "no multiple of decoder_attention_heads"),
        ("num_conv_layers", 3, "conv_kernel_sizes must have num_conv_layers 3 values"),
        ("conv_channels", 25, "conv_channels 25 is odd"),
        ("pad_token_id", 60, "pad_token_id 60 is not below vocab_size"),
        ("decoder_start_token_id", 60, "decoder_start_token_id 60 is not below vocab_size"),
        ("input_channels", 2, "num_mel_bins is 80, but config.json: input_feat_per_channel x input_channels is 160"),
        ("scale_embedding", "yes", "scale_embedding is 'yes'"),
        ("is_encoder_decoder", False, "is_encoder_decoder is False"),
    ],
)
def test_a_value_that_does_not_fit_is_named(field: str, value: object, words: str, tmp_path: Path) -> None:
    reference("plain").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {field: value}))
    with pytest.raises(CheckpointError, match=words):
        load_model(tmp_path)


@pytest.mark.parametrize("size", PUBLISHED)
@pytest.mark.parametrize("architecture", ["Speech2TextModel", "Speech2TextForConditionalGeneration"])
def test_names_and_shapes_are_the_published_ones(size: str, architecture: str) -> None:
    settings, millions = PUBLISHED[size]
    config = transformers.Speech2TextConfig(**settings)
    config.architectures = [architecture]
    with torch.device("meta"):
        state = getattr(transformers, architecture)(config).state_dict()
    expected = {name: tuple(tensor.shape) for name, tensor in state.items()}
    for only_what_differs in (True, False):
        assert published_shapes(json.loads(config.to_json_string(use_diff=only_what_differs))) == expected
    once = {name: shape for name, shape in expected.items() if name != "lm_head.weight"}
    assert sum(map(math.prod, once.values())) / 1e6 == pytest.approx(millions, rel=0.01)


def test_a_family_without_a_decoder_cannot_be_taught() -> None:
    model = load_model(published("lasr-ctc").folder)
    with pytest.raises(ValueError, match="LasrForCTC has no decoder"):
        model.teach(model.frontend([noise(5_003)]), [GIVEN])


def test_the_reference_has_something_to_say() -> None:
    """Guards the cases: scores that are all alike, or that do not depend on the clip, would pass anything."""
    for name in ("plain", "untied", "no-padding-id", "even-kernels", "two-channels"):
        loud, soft = (alone(name, noise(20_801, seed), GIVEN).logits for seed in (1, 2))
        assert 2 < float(loud.std()) < 8, name
        assert difference(loud, soft) > 100 * TOLERANCE, name
