"""Checkpoint folders: every format reads the same, and what does not fit is said whole."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models import CheckpointError, SpeechModel, load_model, stored
from models.checkpoint import read_config, write_checkpoint
from models.frontend import Waveform
from models.protocol import FrameLogits, HiddenStates
from models.registry import ARCHITECTURES, architecture_name
from tests.models.reference import CASES, noise, published

CTC = next(name for name, case in CASES.items() if case.architecture == "HubertForCTC")
FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of a good checkpoint, to be spoilt."""
    return Path(shutil.copytree(published(CTC).folder, tmp_path / "checkpoint"))


@pytest.fixture
def tensors(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def logits(model: SpeechModel) -> Tensor:
    out = model(model.frontend([noise(8_000)]))
    assert isinstance(out, FrameLogits)
    return out.logits


def problems(folder: Path, *, allow_pickle: bool = False) -> tuple[str, ...]:
    with pytest.raises(CheckpointError) as caught:
        load_model(folder, allow_pickle=allow_pickle)
    return caught.value.problems


def test_shards_read_as_one_file(folder: Path, tensors: dict[str, Tensor]) -> None:
    whole = logits(load_model(folder))
    names = sorted(tensors)
    shards = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, held in shards.items():
        save_file({name: tensors[name] for name in held}, folder / file)
    index = {"weight_map": {name: file for file, held in shards.items() for name in held}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()
    assert torch.equal(logits(load_model(folder)), whole)


def test_a_shard_that_is_not_there_is_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"x": "gone.safetensors", "y": "../../etc/passwd"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "outside its folder: ../../etc/passwd" in problems(folder)[0]
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": "gone.safetensors"}}))
    assert "not there: gone.safetensors" in problems(folder)[0]


def test_a_pickle_of_tensors_is_read_only_when_asked(folder: Path, tensors: dict[str, Tensor]) -> None:
    whole = logits(load_model(folder))
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    assert "allow_pickle=True" in problems(folder)[0]
    assert torch.equal(logits(load_model(folder, allow_pickle=True)), whole)


class Malice:
    """Runs a program where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("write", [torch.save, lambda thing, path: path.write_bytes(pickle.dumps(thing))])
def test_a_malicious_pickle_is_refused_and_not_run(
    folder: Path, tmp_path: Path, write: Callable[[object, Path], object]
) -> None:
    (folder / "model.safetensors").unlink()
    write({"weight": Malice(tmp_path / "trace")}, folder / "pytorch_model.bin")
    assert "refused" in problems(folder, allow_pickle=True)[0]
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("name", ["tf_hubert", "tf_hubert_ctc"])
def test_weights_that_tensorflow_wrote_give_what_tensorflow_gave(name: str) -> None:
    model = load_model(FIXTURES / name)
    model.frontend = replace(model.frontend, normalize=False)  # type: ignore[type-var]
    expected = np.load(FIXTURES / name / "expected.npz")
    out = model(model.frontend([expected["samples"]]))
    theirs = expected["hidden"] if isinstance(out, HiddenStates) else expected["logits"]
    ours = out.hidden if isinstance(out, HiddenStates) else logits_of(out)
    np.testing.assert_allclose(ours[0].numpy(), theirs, atol=1e-4)


def logits_of(out: object) -> Tensor:
    assert isinstance(out, FrameLogits)
    return out.logits


def test_everything_that_does_not_fit_is_said_at_once(folder: Path, tensors: dict[str, Tensor]) -> None:
    tensors["lm_head.weight"] = tensors["lm_head.weight"][:-1].clone()
    del tensors["lm_head.bias"]
    tensors["something.else"] = torch.zeros(2, 3)
    save_file(tensors, folder / "model.safetensors")
    config = dict(read_config(folder))
    config |= {"hidden_act": "softsign", "feat_extract_norm": "batch", "add_adapter": True}
    (folder / "config.json").write_text(json.dumps(config))
    said = "\n".join(problems(folder))
    for part in (
        "missing: lm_head.bias",
        "extra: something.else [2, 3]",
        "misshapen: lm_head.weight is",
        "hidden_act is 'softsign'",
        "feat_extract_norm is 'batch'; supported: group, layer",
        "add_adapter is True",
    ):
        assert part in said


def test_values_of_the_wrong_kind_are_said_in_words(folder: Path) -> None:
    config = dict(read_config(folder)) | {"hidden_size": "wide", "layer_norm_eps": None, "conv_kernel": [10, 3]}
    (folder / "config.json").write_text(json.dumps(config))
    said = "\n".join(problems(folder))
    assert "hidden_size is 'wide'; a whole number is needed" in said
    assert "one value per convolution" in said


def test_what_was_read_of_a_file_is_not_held_while_the_rest_is(tmp_path: Path) -> None:
    save_file({str(i): torch.ones(1 << 24) for i in range(6)}, tmp_path / "model.safetensors")
    weights, held = stored.open_weights(tmp_path, allow_pickle=False), []
    before = psutil.Process().memory_info().rss
    for name in weights.shapes:
        assert float(weights.read(name).sum()) == 1 << 24
        held.append(psutil.Process().memory_info().rss - before)
    assert max(held) < 2 << 26, "two of six tensors"


def test_a_folder_that_is_no_checkpoint_is_one_sentence(tmp_path: Path) -> None:
    assert problems(tmp_path) == (f"{tmp_path}: not a checkpoint folder, it has no config.json",)


def test_a_folder_without_weights_says_what_is_needed(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "model.safetensors" in problems(folder)[0]
    assert len(problems(folder)) == 1


@pytest.mark.parametrize("keep", [0, 5, 1000, -100])
def test_a_truncated_file_is_one_sentence(folder: Path, keep: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    (said,) = problems(folder)
    assert "cut short or damaged" in said
    assert str(path) in said


@pytest.mark.parametrize("keep", [0, 100, -100])
def test_a_truncated_pickle_is_one_sentence(folder: Path, tensors: dict[str, Tensor], keep: int) -> None:
    (folder / "model.safetensors").unlink()
    path = folder / "pytorch_model.bin"
    torch.save(tensors, path)
    path.write_bytes(path.read_bytes()[:keep])
    (said,) = problems(folder, allow_pickle=True)
    assert str(path) in said


def test_a_truncated_tensorflow_file_is_one_sentence(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FIXTURES / "tf_hubert", tmp_path / "tf"))
    path = folder / "tf_model.h5"
    path.write_bytes(path.read_bytes()[:5000])
    (said,) = problems(folder)
    assert "cut short or damaged" in said


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_attention_heads", 0),
        ("num_conv_pos_embedding_groups", 0),
        ("hidden_size", -4),
        ("conv_stride", [0, 2, 2]),
        ("num_hidden_layers", -1),
        ("vocab_size", True),
        ("conv_bias", "yes"),
    ],
)
def test_impossible_values_are_named(folder: Path, field: str, value: object) -> None:
    config = dict(read_config(folder)) | {field: value}
    (folder / "config.json").write_text(json.dumps(config))
    assert any(f"{field} is {value!r}" in problem for problem in problems(folder))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("vocab.json", "{"),
        ("vocab.json", '{"a": "first"}'),
        ("tokenizer.json", "[]"),
        ("spiece.model", "not a model"),
        ("preprocessor_config.json", '{"do_normalize": "yes"}'),
    ],
)
def test_damaged_side_files_are_named(folder: Path, file: str, content: str) -> None:
    (folder / file).write_text(content)
    (said,) = problems(folder)
    assert file in said


@pytest.mark.parametrize(
    ("config", "part"),
    [
        ("{", "config.json is not JSON"),
        ("[]", "config.json is not a JSON object"),
        ('{"model_type": "hubert"}', "no `architectures`"),
        ('{"architectures": ["WhisperForConditionalGeneration"]}', "WhisperForConditionalGeneration"),
    ],
)
def test_a_config_of_something_else_is_one_sentence(folder: Path, config: str, part: str) -> None:
    (folder / "config.json").write_text(config)
    (said,) = problems(folder)
    assert part in said


def test_an_unknown_number_type_names_those_that_exist(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="dtype is 'int8'; supported: float32, bfloat16"):
        load_model(folder, dtype="int8")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one here")
@pytest.mark.parametrize("device", ["cuda", "toaster"])
def test_a_device_that_is_not_there_is_named_with_what_else_is_wrong(folder: Path, device: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_model(folder, dtype="int8", device=device)
    assert len(caught.value.problems) == 2
    assert f"device is {device!r}" in caught.value.problems[1]


def test_features_that_the_encoder_does_not_read_are_named(tmp_path: Path) -> None:
    name = next(name for name, case in CASES.items() if case.architecture == "LasrForCTC")
    folder = Path(shutil.copytree(published(name).folder, tmp_path / "mels"))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": 77}))
    (said,) = problems(folder)
    assert "feature_size is 77, but config.json: num_mel_bins is" in said


def test_a_bare_encoder_saved_under_its_inner_name_is_read(tmp_path: Path) -> None:
    name = next(name for name, case in CASES.items() if case.architecture == "HubertModel")
    folder = Path(shutil.copytree(published(name).folder, tmp_path / "inner"))
    tensors = load_file(folder / "model.safetensors")
    save_file({f"hubert.{key}": tensor for key, tensor in tensors.items()}, folder / "model.safetensors")
    first, second = (load_model(path) for path in (published(name).folder, folder))
    clip = first.frontend([noise(8_000)])
    ours, theirs = first(clip), second(clip)
    assert isinstance(ours, HiddenStates)
    assert isinstance(theirs, HiddenStates)
    assert torch.equal(ours.hidden, theirs.hidden)


def test_half_precision_checkpoints_are_read(folder: Path, tensors: dict[str, Tensor]) -> None:
    whole = logits(load_model(folder))
    save_file({name: tensor.half() for name, tensor in tensors.items()}, folder / "model.safetensors")
    halved = logits(load_model(folder))
    assert halved.dtype == torch.float32
    torch.testing.assert_close(halved, whole, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("name", CASES)
def test_a_model_that_is_written_reads_back_the_same(name: str, tmp_path: Path) -> None:
    model = load_model(published(name).folder)
    write_checkpoint(model, read_config(published(name).folder), tmp_path)
    again = load_model(tmp_path)
    assert again.frontend == model.frontend
    for (key, ours), theirs in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=key)


def test_the_front_end_is_read_from_either_file(folder: Path) -> None:
    for path in folder.glob("pre*config.json"):
        path.unlink()
    assert load_model(folder).frontend == Waveform(16_000, normalize=True)
    nested = {"feature_extractor": {"do_normalize": False, "sampling_rate": 8_000}}
    (folder / "processor_config.json").write_text(json.dumps(nested))
    assert load_model(folder).frontend == Waveform(8_000, normalize=False)
    (folder / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": "fast"}))
    assert "sampling_rate is 'fast'" in problems(folder)[0]


def test_no_memory_is_taken_for_a_model_that_is_only_described() -> None:
    config = {
        "architectures": ["HubertForCTC"],
        "hidden_size": 16_384,
        "num_hidden_layers": 96,
        "num_attention_heads": 128,
    }
    config |= {"intermediate_size": 65_536}
    blueprint = ARCHITECTURES[architecture_name(config)].blueprint(config)
    assert all(tensor.is_meta for tensor in blueprint.state().values())


def test_what_was_kept_of_the_weights_follows_them(folder: Path) -> None:
    """The spectrum and the position tables are made at loading, and must not outlive the weights."""
    for name in (CTC, next(name for name, case in CASES.items() if case.architecture == "SEWDForCTC")):
        model = load_model(published(name).folder)
        batch = model.frontend([noise(8_000)])
        before = model(batch)
        moved = {
            key: 1.5 * value if "position" in key or "distance" in key else value
            for key, value in model.state_dict().items()
        }
        model.load_state_dict(moved)
        kept = model(batch)
        for key, parameter in model.named_parameters():
            parameter.mul_(1.0 if "position" not in key and "distance" not in key else 1 / 1.5)
        back = model(batch)
        model.load_state_dict(moved)
        computed = model.requires_grad_(True)(batch)
        assert isinstance(before, FrameLogits)
        assert isinstance(kept, FrameLogits)
        assert isinstance(back, FrameLogits)
        torch.testing.assert_close(back.logits, before.logits, atol=1e-4, rtol=1e-4)
        assert isinstance(computed, FrameLogits)
        assert not torch.allclose(before.logits, kept.logits, atol=1e-3)
        torch.testing.assert_close(kept.logits, computed.logits.detach(), atol=1e-4, rtol=1e-4)


def test_a_loaded_model_can_be_converted() -> None:
    model = load_model(published(CTC).folder)
    batch = model.frontend([noise(8_000)])
    single = logits(model)
    out = model.to(torch.float64)(batch)
    assert isinstance(out, FrameLogits)
    torch.testing.assert_close(out.logits, single, atol=1e-3, rtol=1e-3)


def test_a_loaded_model_does_not_hang_on_its_file(folder: Path) -> None:
    model = load_model(folder)
    before = logits(model)
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(2_000)
        file.write(bytes((folder / "model.safetensors").stat().st_size - 2_000))
    assert torch.equal(logits(model), before)


def test_a_model_can_be_pickled_and_trained() -> None:
    with torch.inference_mode():
        model = load_model(published(CTC).folder)
    again = pickle.loads(pickle.dumps(model))
    assert torch.equal(logits(again), logits(model))
    model.requires_grad_(True)
    model.loss(model.frontend([noise(8_000)]), [[1, 2, 3]]).reduced.backward()
    assert all(parameter.grad is not None for name, parameter in model.named_parameters() if "stem.first" not in name)


def test_shards_that_hold_a_tensor_twice_are_refused(folder: Path, tensors: dict[str, Tensor]) -> None:
    save_file(tensors, folder / "a.safetensors")
    save_file({"lm_head.bias": tensors["lm_head.bias"] + 1}, folder / "b.safetensors")
    index = {"weight_map": dict.fromkeys(tensors, "a.safetensors") | {"other": "b.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()
    (said,) = problems(folder)
    assert "more than one shard: lm_head.bias" in said


@pytest.mark.parametrize("content", ["[]", "5", '{"weight_map": {"x": 1}}', '{"weight_map": null}', "{"])
def test_a_damaged_index_is_one_sentence(folder: Path, content: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(content)
    (said,) = problems(folder)
    assert "not an index" in said


@pytest.mark.parametrize("content", [b"\x80\x02.", b"hello\n", b"\x80\x02q\xff."])
def test_a_damaged_pickle_is_one_sentence(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(content)
    (said,) = problems(folder, allow_pickle=True)
    assert "pytorch_model.bin" in said


@pytest.mark.parametrize("labels", [{"a": "x", "b": "y"}, {"1": "x", "2": "y"}])
def test_labels_that_are_not_numbered_from_zero_are_refused(tmp_path: Path, labels: dict[str, str]) -> None:
    name = next(name for name, case in CASES.items() if case.architecture == "HubertForSequenceClassification")
    folder = Path(shutil.copytree(published(name).folder, tmp_path / "labels"))
    (folder / "config.json").write_text(json.dumps(dict(read_config(folder)) | {"id2label": labels}))
    (said,) = problems(folder)
    assert "id2label must number its labels" in said


@pytest.mark.parametrize(
    ("field", "value"),
    [("hidden_act", ["gelu"]), ("hidden_size", 2**62), ("num_hidden_layers", 2**40), ("layer_norm_eps", float("nan"))],
)
def test_absurd_values_are_named(folder: Path, field: str, value: object) -> None:
    (folder / "config.json").write_text(json.dumps(dict(read_config(folder)) | {field: value}))
    assert any(field in problem for problem in problems(folder))


def test_weights_that_are_no_floating_point_numbers_are_named(folder: Path, tensors: dict[str, Tensor]) -> None:
    first, second = sorted(tensors)[:2]
    tensors[first] = tensors[first].to(torch.complex64)
    tensors[second] = tensors[second].long()
    save_file(tensors, folder / "model.safetensors")
    said = "\n".join(problems(folder))
    assert f"{first} holds C64, floating-point numbers are needed" in said
    assert f"{second} holds I64, floating-point numbers are needed" in said


def test_a_front_end_that_is_no_object_is_named(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink(missing_ok=True)
    (folder / "processor_config.json").write_text(json.dumps({"feature_extractor": 5}))
    assert "processor_config.json: feature_extractor is 5; an object is needed" in "\n".join(problems(folder))


def test_what_is_wrong_with_a_front_end_names_the_file_that_was_read(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink(missing_ok=True)
    (folder / "processor_config.json").write_text(json.dumps({"feature_extractor": {"sampling_rate": "fast"}}))
    assert "processor_config.json: sampling_rate is 'fast'" in problems(folder)[0]


def test_a_file_that_may_not_be_read_is_not_called_damaged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, framework: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(stored, "safe_open", refuse)
    said = problems(folder)[0]
    assert "cannot be opened (Permission denied)" in said
    assert "damaged" not in said


@pytest.mark.parametrize("name", [CTC, "sew-d-group-ctc"])
def test_a_pickled_model_does_not_carry_what_it_can_make_again(name: str) -> None:
    model = load_model(published(name).folder)
    before = len(pickle.dumps(model))
    said = logits(model)
    carried = pickle.dumps(model)
    assert len(carried) <= before
    assert all(value is None for module in pickle.loads(carried).modules() for value in made_again(module))
    torch.testing.assert_close(logits(pickle.loads(carried)), said)


def made_again(module: torch.nn.Module) -> list[object]:
    """What a module keeps beside its weights."""
    return [getattr(module, name) for name in ("spectrum", "tables", "table") if hasattr(module, name)]
