"""The texts that Speech2Text writes are the reference's, token for token, whatever the search and the company."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models import CheckpointError, load_model
from models.decoder import Decoder, Memory, Past
from models.model import SpeechModel
from models.protocol import Generation, Tokens
from models.token_times import spans
from tests.models.reference import noise
from tests.models.writing import CASES, ENDS, alone, bands, features, folder, ours, reference

NAMES = ("untied", "ends-often", "unscaled-untied", "unscaled-ends-often", "start-is-another", "no-padding-id", "plain")
CLIPS = (9_999, 5_003)
LENGTH = 14
SCORING: tuple[tuple[float, bool | str], ...] = ((1.0, True), (0.0, False), (2.0, "never"), (-0.7, True), (1.0, False))
"""Length penalties, and when to stop."""
RULES: dict[str, dict[str, object]] = {
    "no token twice": {"no_repeat_ngram_size": 1},
    "no pair twice": {"no_repeat_ngram_size": 2},
    "at least so long": {"min_length": 8},
    "at least so many more": {"min_new_tokens": 5},
    "at most so many more": {"max_new_tokens": 6},
    "begins with": {"forced_bos_token_id": 9},
    "ends with": {"forced_eos_token_id": 2},
    "some never": {"suppress_tokens": [7, 25, 31, 42]},
    "some not at first": {"begin_suppress_tokens": [8, 31, 7], "forced_bos_token_id": 9},
    "bad words": {"bad_words_ids": [[25], [31, 7], [7, 7, 39]]},
}
REFUSED: dict[str, object] = {
    "do_sample": True,
    "num_return_sequences": 2,
    "repetition_penalty": 1.3,
    "num_beams": 0,
    "max_length": 5_000,
    "early_stopping": "soon",
    "early_stopping of a number": 3,
    "forced_bos_token_id": [5, 6],
    "decoder_start_token_id": 600,
    "eos_token_id": [2, 600],
    "bad_words_ids": [[7, 600]],
    "length_penalty": "long",
    "no_repeat_ngram_size": -1,
}
MANY_ENDS = list(range(2, 60, 3))
"""Tokens that end a text, one of three."""
ENDING = (5_003, 9_999, 12_345, 20_801, 2_500)
MIXED = (5_003, 20_801, 2_500, 0, 12_345, 560)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small only wait for other threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("beams", [1, 4, 5, 10])
@pytest.mark.parametrize("name", NAMES)
def test_texts_are_the_references(name: str, beams: int) -> None:
    model = ours(name)
    for samples in CLIPS:
        batch = model.frontend([noise(samples)])
        for penalty, early in SCORING if beams > 1 else SCORING[:1]:
            search = Generation(beams=beams, length_penalty=penalty, early_stopping=early, max_length=LENGTH)
            assert _said(model, batch, search) == _theirs(name, samples, beams, penalty, early)


def test_the_references_texts_differ_and_end() -> None:
    """Guards the cases: texts that are all alike, or never end, would prove little."""
    texts = [tuple(_theirs(name, n, 4, *SCORING[0])) for name in NAMES[:4] for n in CLIPS]
    assert len(set(texts)) >= 6
    assert sum(len(text) < LENGTH - 1 for text in texts) >= 2
    assert max(map(len, texts)) == LENGTH - 1


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("rule", RULES)
def test_the_rules_of_a_checkpoint_are_followed(rule: str, beams: int, tmp_path: Path) -> None:
    stated = {"num_beams": beams, "max_length": LENGTH} | RULES[rule]
    name, ends = ("ends-often", ENDS) if "at least" in rule else ("untied", [2])
    model, theirs = _with_rules(name, stated, tmp_path)
    plain, _ = _with_rules(name, {"num_beams": beams, "max_length": LENGTH}, tmp_path / "plain")
    changed = 0
    for samples in (*CLIPS, 12_345):
        text = theirs.generate(features(noise(samples)))[0].tolist()
        forced = [RULES[rule]["forced_bos_token_id"]] if "forced_bos_token_id" in RULES[rule] else []
        expected = _stripped(text, tuple(ends), forced)
        mine = _said(model, model.frontend([noise(samples)]), None)
        assert mine == expected
        changed += mine != _said(plain, plain.frontend([noise(samples)]), None)
    assert changed or rule == "ends with"


def test_rules_of_an_older_config_count_only_where_there_is_no_generation_config(tmp_path: Path) -> None:
    _with_rules("untied", {}, tmp_path)
    config, rules = tmp_path / "checkpoint" / "config.json", tmp_path / "checkpoint" / "generation_config.json"
    older = {"num_beams": 4, "no_repeat_ngram_size": 1, "forced_bos_token_id": 7, "max_length": LENGTH}
    config.write_text(json.dumps(json.loads(config.read_text()) | older))
    texts = []
    for there in (True, False):
        if not there:
            rules.unlink()
        model = load_model(config.parent)
        theirs = transformers.Speech2TextForConditionalGeneration.from_pretrained(config.parent).eval()
        text = theirs.generate(features(noise(CLIPS[-1])), max_length=LENGTH)[0].tolist()
        forced: list[object] = [] if there else [older["forced_bos_token_id"]]
        search = Generation(max_length=LENGTH)
        texts.append(_said(model, model.frontend([noise(CLIPS[-1])]), search))
        assert texts[-1] == _stripped(text, (2,), forced)
    assert texts[0] != texts[1]


@pytest.mark.parametrize("field", REFUSED)
def test_a_rule_that_cannot_be_followed_is_named(field: str, tmp_path: Path) -> None:
    name = field.split(maxsplit=1)[0]
    with pytest.raises(CheckpointError, match=f"generation_config.json: .*{name}|{name}.*generation_config.json"):
        _with_rules("plain", {name: REFUSED[field]}, tmp_path)


def test_how_readings_are_weighed_and_when_to_stop_is_read_from_the_file(tmp_path: Path) -> None:
    """With many tokens that end a text, so that readings of all lengths are weighed."""
    texts: list[list[list[int]]] = []
    for penalty, early in SCORING:
        stated = {"length_penalty": penalty, "early_stopping": early, "eos_token_id": MANY_ENDS}
        model, theirs = _with_rules(
            "unscaled-untied", stated | {"num_beams": 4, "max_length": LENGTH}, tmp_path / str(len(texts))
        )
        texts.append([_said(model, model.frontend([noise(samples)]), None) for samples in CLIPS])
        wanted = [theirs.generate(features(noise(samples)))[0].tolist() for samples in CLIPS]
        assert texts[-1] == [_stripped(text, tuple(MANY_ENDS), []) for text in wanted]
    assert texts[0] != texts[-1], "where only early_stopping differs"
    assert len(set(map(str, texts))) > 2


@pytest.mark.parametrize(
    ("search", "words"),
    [
        (Generation(beams=0), "beams is 0"),
        (Generation(max_length=1), "max_length is 1"),
        (Generation(max_length=4_000), "max_target_positions 1024"),
        (Generation(no_repeat_ngram=-1), "no_repeat_ngram is -1"),
        (Generation(early_stopping="soon"), "early_stopping is 'soon'"),
        (Generation(language="fr"), "has no languages"),
        (Generation(temperature=0.0), "temperature is 0.0; a number above 0"),
        (Generation(length_penalty=math.nan), "length_penalty is nan; a number is needed"),
    ],
)
def test_a_search_that_cannot_be_meant_is_named(search: Generation, words: str) -> None:
    model = ours("untied")
    with pytest.raises(ValueError, match=words):
        model.predict(model.frontend([noise(5_003)]), search)


def test_a_language_is_forced_by_name_and_not_part_of_the_text() -> None:
    model = load_model(folder("untied", "ForConditionalGeneration") if ours("untied") else "")
    model.vocabulary = SimpleNamespace(languages={"fr": 9, "de": 11})
    batch = model.frontend([noise(9_999)])
    french, german = (
        _said(model, batch, Generation(language=name, beams=4, max_length=LENGTH)) for name in ("fr", "de")
    )
    text = reference("untied").generate(features(noise(9_999)), num_beams=4, max_length=LENGTH, forced_bos_token_id=9)
    assert french == _stripped(text[0].tolist(), (2,), [9])
    assert french != german
    with pytest.raises(ValueError, match="language is 'it'; this checkpoint writes: de, fr"):
        model.predict(batch, Generation(language="it"))


@pytest.mark.parametrize("beams", [1, 5])
@pytest.mark.parametrize("name", ["untied", "ends-often", "large-vocabulary", "even-kernels"])
def test_a_clip_is_written_the_same_alone_and_in_a_batch(name: str, beams: int) -> None:
    model, search = ours(name), Generation(beams=beams, max_length=LENGTH)
    together = model.predict(model.frontend([noise(samples) for samples in MIXED]), search)
    for samples, mine in zip(MIXED, together, strict=True):
        single = model.predict(model.frontend([noise(samples)]), search)[0]
        assert mine.ids.tolist() == single.ids.tolist()
        assert mine.starts.tolist() == single.starts.tolist()
        np.testing.assert_allclose(mine.scores, single.scores, atol=1e-4)


@pytest.mark.parametrize("beams", [1, 4])
def test_a_finished_clip_leaves_the_batch(beams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is as wide as there are clips that alone would take so many."""
    model, search, advance = ours("unscaled-untied"), Generation(beams=beams, max_length=LENGTH), Decoder.step
    monkeypatch.setattr(model.head, "rules", replace(model.head.rules, ends=tuple(MANY_ENDS), early_stopping=True))
    widths: list[int] = []

    def counted(decoder: Decoder, tokens: Tensor, past: Past, memory: Memory) -> Tensor:
        widths.append(len(tokens))
        return advance(decoder, tokens, past, memory)

    def taken(*samples: int) -> list[int]:
        widths.clear()
        model.predict(model.frontend([noise(each) for each in samples]), search)
        return list(widths)

    monkeypatch.setattr(Decoder, "step", counted)
    steps = [len(taken(samples)) for samples in ENDING]
    assert len(set(steps)) > 1, "all end at once, which proves nothing"
    assert taken(*ENDING) == [sum(count > step for count in steps) for step in range(max(steps))]


@pytest.mark.parametrize("beams", [1, 5])
def test_a_score_is_the_tokens_posterior(beams: int) -> None:
    for name in ("untied", "ends-often"):
        mine = ours(name).predict(ours(name).frontend([noise(9_999)]), Generation(beams=beams, max_length=LENGTH))[0]
        posteriors = alone(name, noise(9_999), [2, *mine.ids.tolist()]).logits[0].softmax(-1)
        expected = [float(posteriors[place, token]) for place, token in enumerate(mine.ids)]
        np.testing.assert_allclose(mine.scores, expected, atol=1e-4)


@pytest.mark.parametrize("beams", [1, 5])
def test_a_temperature_softens_posteriors_and_changes_no_text(beams: int) -> None:
    """Beams weigh posteriors against one another, so a temperature that took part would write other texts."""
    for name in ("untied", "ends-often"):
        batch = ours(name).frontend([noise(9_999)])
        plain = ours(name).predict(batch, Generation(beams=beams, max_length=LENGTH))[0]
        warm = ours(name).predict(batch, Generation(beams=beams, max_length=LENGTH, temperature=3.0))[0]
        assert warm.ids.tolist() == plain.ids.tolist()
        assert warm.starts.tolist() == plain.starts.tolist()
        posteriors = (alone(name, noise(9_999), [2, *warm.ids.tolist()]).logits[0] / 3).softmax(-1)
        expected = [float(posteriors[place, token]) for place, token in enumerate(warm.ids)]
        np.testing.assert_allclose(warm.scores, expected, atol=1e-4)


def test_tokens_lie_in_order_inside_their_clip() -> None:
    model = ours("untied")
    for samples in (560, 2_500, 20_801):
        batch = model.frontend([noise(samples)])
        mine, frames = model.predict(batch, Generation(max_length=30))[0], int(model(batch).lengths[0])
        assert len(mine.ids) > 3
        assert (mine.starts < mine.ends).all()
        assert (np.diff(mine.starts) >= 0).all()
        assert (np.diff(mine.ends) >= 0).all()
        assert mine.starts.min() >= 0
        assert mine.ends.max() <= frames


def test_a_path_follows_what_was_looked_at() -> None:
    bounds = [0, 3, 5, 9, 15]
    looks = torch.full((4, 15), 0.01)
    for token, (start, end) in enumerate(pairwise(bounds)):
        looks[token, start:end] = 0.5
    looks[0, 12] = 0.9  # a look far away moves nothing
    starts, ends = spans(looks, [1.0] * 4, np.ones(15))
    assert starts.tolist() == bounds[:-1]
    assert ends.tolist() == bounds[1:]


def test_where_looks_say_nothing_tokens_last_as_long_as_what_they_write() -> None:
    looks = torch.full((3, 24), 1 / 24)
    assert spans(looks, [1, 2, 3], np.ones(24))[1].tolist() == [4, 12, 24]
    quiet = np.ones(24)
    quiet[8:16] = 0
    starts, ends = spans(looks[:2], [1, 1], quiet)
    assert 8 <= ends[0] == starts[1] <= 16, "what is quiet counts for nothing"


def test_a_token_that_looks_ahead_is_not_believed_at_once() -> None:
    """The second looks at its neighbour's frames, but would last for one frame if that were true."""
    looks = torch.full((3, 30), 0.02)
    for token, frame in enumerate((5, 22, 25)):
        looks[token, frame] = 0.4
    assert spans(looks, [1, 1, 1], np.ones(30))[0][1] <= 14


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 1000))
def test_every_frame_goes_to_one_token(tokens: int, frames: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    looks = torch.rand(tokens, frames, generator=generator).softmax(1)
    letters, loud = torch.rand(tokens, generator=generator) + 0.5, torch.rand(frames, generator=generator).round()
    starts, ends = spans(looks, letters.tolist(), loud.double().numpy())
    assert starts[0] == 0
    assert ends[-1] == frames
    assert (starts < ends).all()
    shared = ends[:-1] - starts[1:]
    assert ((shared == 0) | ((shared == 1) & (tokens > frames))).all()


def test_more_tokens_than_frames_share_them() -> None:
    looks = torch.rand(7, 3, generator=torch.Generator().manual_seed(0))
    starts, ends = spans(looks, [1.0] * 7, np.ones(3))
    assert (starts < ends).all()
    assert (np.diff(starts) >= 0).all()
    assert starts[0] == 0
    assert ends[-1] == 3


def _said(model: SpeechModel, batch: object, search: Generation | None) -> list[int]:
    prediction = model.predict(batch, search)[0]
    assert isinstance(prediction, Tokens)
    return prediction.ids.tolist()


@cache
def _theirs(name: str, samples: int, beams: int, penalty: float, early: bool | str) -> list[int]:
    """The reference's text for one clip alone, without what begins and ends it."""
    model = reference(name)
    more = {"length_penalty": penalty, "early_stopping": early} if beams > 1 else {}
    text = model.generate(features(noise(samples), bands(name)), num_beams=beams, max_length=LENGTH, **more)
    ends = model.generation_config.eos_token_id
    return _stripped(text[0].tolist(), tuple(ends) if isinstance(ends, list) else (ends,), [])


def _stripped(text: list[int], ends: tuple[int, ...], forced: list[object]) -> list[int]:
    text = text[1:]
    text = text[len(forced) :] if text[: len(forced)] == forced else text
    return text[:-1] if text and text[-1] in ends else text


def _with_rules(
    name: str, rules: dict[str, object], path: Path
) -> tuple[SpeechModel, transformers.Speech2TextForConditionalGeneration]:
    assert name in CASES
    reference(name)
    target = copytree(folder(name, "ForConditionalGeneration"), path / "checkpoint")
    file = target / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | rules))
    model = load_model(target)
    return model, transformers.Speech2TextForConditionalGeneration.from_pretrained(target).eval()
