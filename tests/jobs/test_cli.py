"""`steno`, as a person types it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from jobs.cli import FINE, UNUSABLE, main
from jobs.describing import architectures
from jobs.exits import BROKEN, INTERRUPTED
from jobs.pace import CLIP as CLIP_SECONDS
from jobs.pace import pace
from models import SpeechModel, load_model
from models.protocol import Padded
from models.registry import ARCHITECTURES
from tests.checkpoints import CONFIGS, write_random
from tests.clips import make_clips

ROOT = Path(__file__).parents[2]
CLIP = make_clips(16_000, seed=0).good[0]


def typed(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "jobs.cli", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def checkpoint(architecture: str, folder: Path) -> Path:
    """A small checkpoint of this class."""
    family = next(kind.family for kind in architectures().architectures if kind.architecture == architecture)
    write_random(architecture, CONFIGS[family], CLIP, folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return checkpoint("HubertForCTC", tmp_path / "checkpoint")


def edit(folder: Path, **changed: object) -> None:
    """Change config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def test_help_teaches_and_does_not_wait_for_torch() -> None:
    program = "import sys, jobs.cli; code = jobs.cli.main(['--help']); sys.exit(code or 9 * ('torch' in sys.modules))"
    asked = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert asked.returncode == FINE
    for part in (
        "steno models ./checkpoint",
        "hf://org/name@revision",
        "steno transcribe recordings/",
        "Exit codes: 0 all is well, 1 ",
    ):
        assert part in asked.stdout


def test_the_command_says_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--help"]) == FINE
    said = capsys.readouterr().out
    for part in ("s3://bucket/folder", "--json", "--allow-pickle", "--debug", "Exit codes"):
        assert part in said


def test_the_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == FINE
    assert capsys.readouterr().out.startswith("steno")


def test_without_a_checkpoint_the_architectures_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == FINE
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(ARCHITECTURES)
    assert main(["models", "--json"]) == FINE
    listed = json.loads(capsys.readouterr().out)["architectures"]
    assert [kind["architecture"] for kind in listed] == list(ARCHITECTURES)
    assert {kind["family"] for kind in listed} == {"HuBERT", "UniSpeech", "SEW-D", "LASR", "Speech2Text"}


def test_a_checkpoint_is_a_table_for_people(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", str(folder)]) == FINE
    said = {line[:14].strip(): line[14:] for line in capsys.readouterr().out.splitlines()}
    assert re.fullmatch(r"about [0-9.,]+ times real time here, on 1 thread of the processor", said.pop("speed"))
    assert said == {
        "checkpoint": str(folder),
        "architecture": "HubertForCTC",
        "family": "HuBERT",
        "head": "CTC: gives tokens, with their times",
        "parameters": "0.11 million",
        "sample rate": "16000 Hz",
        "frame": "every 0.02 s",
        "vocabulary": "24 tokens, the blank among them; no vocabulary file, so ids only and no text",
        "front end": "the waveform, each clip at zero mean and unit variance",
    }


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("HubertForCTC", {"head": "CTC", "vocabulary_size": 24, "seconds_per_frame": 0.02, "labels": []}),
        ("UniSpeechForPreTraining", {"head": "units", "vocabulary_size": None, "vocabulary_file": False}),
        ("SEWDForSequenceClassification", {"family": "SEW-D", "labels": [f"LABEL_{i}" for i in range(5)]}),
        ("LasrEncoder", {"head": "none", "seconds_per_frame": 0.04, "sample_rate": 16_000}),
    ],
)
def test_a_checkpoint_is_json_for_programs(
    architecture: str, expected: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint(architecture, tmp_path)
    assert main(["models", str(tmp_path), "--json"]) == FINE
    said = json.loads(capsys.readouterr().out)
    assert said["architecture"] == architecture
    assert said.items() >= expected.items()
    assert said["parameters"] == sum(weight.numel() for weight in load_model(tmp_path).parameters())


def test_many_labels_are_counted_and_the_first_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {str(i): f"sound {i}" for i in range(40)}
    write_random("HubertForSequenceClassification", {**CONFIGS["HuBERT"], "id2label": names}, CLIP, tmp_path)
    main(["models", str(tmp_path)])
    said = capsys.readouterr().out
    assert "40: sound 0, sound 1, " in said
    assert "sound 11 and 28 more\n" in said


def test_a_vocabulary_file_means_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "vocab.json").write_text(json.dumps({"<pad>": 0, "|": 1, "a": 2}))
    main(["models", str(folder)])
    assert "24 tokens, the blank among them\n" in capsys.readouterr().out


def test_a_folder_that_is_no_checkpoint_is_one_clean_message(tmp_path: Path) -> None:
    asked = typed("models", tmp_path)
    assert asked.returncode == UNUSABLE
    assert asked.stderr == f"steno: {tmp_path}: not a checkpoint folder, it has no config.json\n"
    assert asked.stdout == ""


def test_every_problem_is_named_at_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["lm_head.bias"]
    save_file(tensors | {"something.else": torch.zeros(2)}, folder / "model.safetensors")
    edit(folder, hidden_act="softsign")
    assert main(["models", str(folder), "--json"]) == UNUSABLE
    said = capsys.readouterr()
    (told,) = json.loads(said.out)["problems"]
    assert said.err == f"steno: {told}\n"
    heading, *problems = said.err.splitlines()
    assert heading == f"steno: {folder} does not fit:"
    assert len(problems) == 3
    for part in ("hidden_act is 'softsign'", "missing: lm_head.bias", "extra: something.else"):
        assert part in said.err


@pytest.mark.parametrize("ref", ["/no/such/folder", "ftp://host/folder", "hf://one-word", "s3://"])
def test_a_checkpoint_that_cannot_be_had_is_one_line(ref: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", ref]) == UNUSABLE
    said = capsys.readouterr()
    assert said.err.startswith("steno: ")
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_the_traceback_is_there_for_those_who_ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", str(tmp_path), "--debug"]) == UNUSABLE
    said = capsys.readouterr().err
    assert said.startswith("steno: Traceback")
    assert "has no config.json" in said.splitlines()[-1]


def test_a_pickle_is_read_only_when_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert main(["models", str(folder)]) == UNUSABLE
    said = capsys.readouterr().err
    assert "--allow-pickle" in said
    assert "allow_pickle" not in said
    assert main(["models", str(folder), "--allow-pickle"]) == FINE


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("models", "--jsno"), "--json"),
        (("modles",), '"models"'),
        (("models", "one", "two"), "two"),
        (("transcribe",), "needs --inputs, --output and --model"),
        (("export", "out"), "needs --to and --format"),
        (("verify",), "needs --output"),
        (("report",), "needs --output"),
    ],
)
def test_a_typing_mistake_is_told_what_was_meant(words: tuple[str, ...], meant: str) -> None:
    asked = typed(*words)
    assert asked.returncode == UNUSABLE
    assert meant in asked.stderr
    assert "Traceback" not in asked.stderr


@pytest.mark.parametrize(
    ("words", "at_work"),
    [
        (("models",), "jobs.describing.architectures"),
        (("verify", "out"), "jobs.verifying.verify"),
        (("report", "out"), "jobs.reporting.report"),
        (("doctor",), "jobs.checkup.doctor"),
        (("label", "in", "-o", "out", "-m", "model"), "jobs.labelling.task"),
    ],
)
def test_ctrl_c_is_answered_in_words(
    words: tuple[str, ...], at_work: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(at_work, interrupted)
    assert main(words) == INTERRUPTED
    said = capsys.readouterr()
    assert said.err.startswith("steno: stopped. ") and said.err.count("\n") == 1
    assert said.out == ""


def test_ctrl_c_is_answered_while_modules_are_imported() -> None:
    program = """
import sys

class Slow:
    def find_spec(self, name, path, target=None):
        if name == "jobs.saying":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Slow())
import jobs.cli
sys.exit(jobs.cli.main(["doctor"]))
"""
    asked = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (asked.returncode, asked.stdout) == (INTERRUPTED, "")
    assert asked.stderr == "steno: stopped. What is written stands; the same command does the rest.\n"


def test_a_fault_of_the_program_has_a_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise LookupError("nobody thought of this")

    monkeypatch.setattr("jobs.describing.architectures", broken)
    assert main(["models"]) == BROKEN
    said = capsys.readouterr().err
    assert "LookupError: nobody thought of this" in said
    assert "a fault of this program" in said


@pytest.mark.parametrize(
    ("architecture", "naps", "rounds"), [("LasrEncoder", 0.02, 4), ("Speech2TextForConditionalGeneration", 2.0, 2)]
)
def test_the_speed_to_expect_is_that_of_the_largest_batch_there_was_time_for(
    architecture: str, naps: float, rounds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[float] = []
    clock = [0.0]

    def predict(model: SpeechModel, batch: Padded) -> None:
        heard.append(len(batch.lengths) * CLIP_SECONDS)
        clock[0] += naps * len(heard)

    monkeypatch.setattr(SpeechModel, "predict", predict)
    monkeypatch.setattr("jobs.pace.time.monotonic", lambda: clock[0])
    found = pace(load_model(checkpoint(architecture, tmp_path)))
    assert heard == [CLIP_SECONDS * 2**number for number in range(rounds)]
    assert found.real_time == pytest.approx(heard[-1] / (naps * rounds))


@pytest.mark.parametrize(
    ("command", "file", "typed_over", "code"),
    [
        ("models", "ref: {}/none\n", "{}/other", UNUSABLE),
        ("verify", "output: {}/none\n", "{}/other", UNUSABLE),
        ("report", "output: {}/none\naudio_megabytes: 0\n", "{}/other", UNUSABLE),
    ],
)
def test_what_looks_at_things_takes_a_file_too_and_what_is_typed_comes_first(
    command: str, file: str, typed_over: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(file.format(tmp_path) + "json: true\n")
    assert main([command, "--config", str(job)]) == code
    assert f"{tmp_path}/none" in json.loads(capsys.readouterr().out)["problems"][0]
    assert main([command, typed_over.format(tmp_path), "--config", str(job)]) == code
    assert f"{tmp_path}/other" in json.loads(capsys.readouterr().out)["problems"][0]
    job.write_text("otuput: x\n")
    assert main([command, "--config", str(job)]) == UNUSABLE
    assert "there is no option otuput" in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_the_doctor_takes_a_file_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = tmp_path / "job.yaml"
    job.write_text("patience: 0\njson: true\n")
    assert main(["doctor", "--config", str(job)]) == UNUSABLE
    assert json.loads(capsys.readouterr().out)["problems"] == ["patience is 0.0: it must be more than 0"]
