"""What is made of a batch, and what is said where a model cannot make it."""

import shutil
from pathlib import Path

import pytest

from jobs.demo.language import write_language_model
from models import load_model
from models.model import SpeechModel
from models.protocol import CtcSearch, Generation
from pipeline.audio import AudioRules
from pipeline.storage import Store
from pipeline.tasks import Transcription
from tests.checkpoints import CONFIGS, write_random, write_small_speller
from tests.clips import make_clips
from tests.models.tokenizers import published

CLIPS = make_clips(16_000, seed=0).good


@pytest.fixture
def speller(tmp_path: Path) -> SpeechModel:
    write_small_speller(tmp_path / "hubert")
    return load_model(tmp_path / "hubert")


@pytest.fixture
def writer(tmp_path: Path) -> SpeechModel:
    """One of several languages."""
    folder = tmp_path / "speech2text"
    write_random("Speech2TextForConditionalGeneration", {**CONFIGS["Speech2Text"], "vocab_size": 301}, CLIPS[0], folder)
    vocabulary = published("Speech2Text in languages").folder
    for name in ("vocab.json", "tokenizer_config.json", "sentencepiece.bpe.model"):
        shutil.copy(vocabulary / name, folder / name)
    return load_model(folder)


def flaws(task: Transcription, model: SpeechModel) -> str:
    return "; ".join(task.flaws(model))


def test_options_become_the_search_of_the_models_own_head(
    speller: SpeechModel, writer: SpeechModel, tmp_path: Path
) -> None:
    write_language_model(["bad cab", "a cab"], tmp_path / "lm.arpa")
    asked = Transcription(beam=4, lm=str(tmp_path / "lm.arpa"), lm_weight=0.7, word_bonus=1.0, hotwords=("cab",))
    search = asked.search(speller)
    assert isinstance(search, CtcSearch)
    assert (search.beam, search.language_weight, search.word_bonus, search.hotwords) == (4, 0.7, 1.0, ("cab",))
    assert search.language_model is asked.search(speller).language_model  # type: ignore[union-attr]  # read once
    assert Transcription().search(speller) is None, "the best class of each frame needs no search"
    assert Transcription(beam=3, language="fr").search(writer) == Generation(beams=3, language="fr")
    assert (flaws(asked, speller), flaws(Transcription(beam=3, language="fr"), writer)) == ("", "")


def test_delay_and_temperature_move_times_and_confidence_and_no_word(speller: SpeechModel, writer: SpeechModel) -> None:
    owner, moved = {"start": 800, "samples": len(CLIPS[0])}, list[int]()
    for model in (speller, writer):
        batch, asked = model.frontend([CLIPS[0]]), Transcription(delay_seconds=0.04, temperature=3.0)
        (plain,), (told,) = (task.hear(model, batch, [owner]) for task in (Transcription(), asked))
        assert isinstance(plain, dict)
        assert isinstance(told, dict)
        assert plain["text"] == told["text"] != ""
        for before, after in zip(plain["words"], told["words"], strict=True):
            assert after["confidence"] != before["confidence"]
            moved.append(before["end"] - after["end"])
    assert 640 in moved


def test_what_a_model_cannot_do_is_said_in_the_users_words(
    speller: SpeechModel, writer: SpeechModel, tmp_path: Path
) -> None:
    assert "language is for checkpoints with a decoder" in flaws(Transcription(language="fr"), speller)
    assert "language is 'xx': it writes de, es, fr, it, nl, pt, ro, ru" in flaws(Transcription(language="xx"), writer)
    said = flaws(Transcription(lm="words.arpa", hotwords=("cab",), word_bonus=1.0), writer)
    assert [name for name in ("lm", "hotwords", "word_bonus") if f"{name} is for CTC" in said] == [
        "lm",
        "hotwords",
        "word_bonus",
    ]
    (tmp_path / "lm.arpa").write_text("nonsense")
    assert "lm.arpa" in flaws(Transcription(beam=2, lm=str(tmp_path / "lm.arpa")), speller)
    assert "none.arpa" in flaws(Transcription(beam=2, lm=str(tmp_path / "none.arpa")), speller)


def test_a_language_model_may_lie_in_a_bucket(
    speller: SpeechModel, moto_s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STENOPOOL_CACHE", str(tmp_path / "cache"))
    write_language_model(["bad cab", "a cab"], tmp_path / "lm.arpa")
    Store(moto_s3).deposit("lm.arpa", str(tmp_path / "lm.arpa"))
    asked = Transcription(beam=4, lm=f"{moto_s3}/lm.arpa")
    assert not flaws(asked, speller)
    search = asked.search(speller)
    assert isinstance(search, CtcSearch)
    assert search.language_model is not None
    assert "none.arpa" in flaws(Transcription(beam=4, lm=f"{moto_s3}/none.arpa"), speller)


def test_a_decoder_hears_no_context_and_writes_the_language_that_is_asked_for(
    speller: SpeechModel, writer: SpeechModel
) -> None:
    assert Transcription().audio(speller, AudioRules()) == AudioRules()
    assert Transcription().audio(writer, AudioRules()).context_seconds == 0
    batch = writer.frontend(CLIPS)
    owners = [{"start": 1_000 * index, "samples": len(clip)} for index, clip in enumerate(CLIPS)]
    heard = Transcription(beam=2, language="fr").hear(writer, batch, owners)
    scribe = writer.scribe()
    for row, tokens in zip(heard, writer.predict(batch, Generation(beams=2, language="fr")), strict=True):
        assert isinstance(row, dict)
        assert row["text"] == scribe.vocabulary.text(tokens.ids.tolist())  # type: ignore[union-attr]
    assert any(row["text"] for row in heard)  # type: ignore[call-overload]
