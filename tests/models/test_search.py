"""The search finds the readings that an exhaustive sum over all paths finds, and the company of a clip is no matter."""

import math
from collections import defaultdict
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import one_hot

from models.beam import Frames, search_beam
from models.fusion import Unheard
from models.kenlm_binary import KenlmBinary
from models.language_model import LanguageModel, load_language_model
from models.layers.packing import Packed
from models.protocol import CtcSearch, Tokens
from models.search import greedy, read_tokens

BLANK = 0
SURFACES = ["", " ", "a", "b"]
PIECES = ["", " a", "b", " ab"]
KENLM = Path(__file__).parent / "fixtures" / "kenlm"
Added = Callable[[tuple[int, ...]], float]


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return load_language_model(KENLM / "small.arpa")


def clips(seed: int, *lengths: int, classes: int = 4) -> Packed:
    generator = torch.Generator().manual_seed(seed)
    return Packed(1.5 * torch.randn(sum(lengths), classes, generator=generator), lengths)


def collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    changes = [c for i, c in enumerate(path) if i == 0 or path[i - 1] != c]
    return tuple(c for c in changes if c != BLANK)


def exhaustive(logits: torch.Tensor, added: Added = lambda _: 0.0) -> list[tuple[tuple[int, ...], float]]:
    """Every reading and its score, best first."""
    scores = logits.double().log_softmax(-1).tolist()
    sums: dict[tuple[int, ...], float] = defaultdict(float)
    for path in product(range(logits.shape[1]), repeat=len(logits)):
        sums[collapsed(path)] += math.exp(sum(frame[c] for frame, c in zip(scores, path, strict=True)))
    return sorted(((ids, math.log(p) + added(ids)) for ids, p in sums.items()), key=lambda reading: -reading[1])


def opinion(surfaces: list[str], weight: float, bonus: float) -> Added:
    """What the small model of this file says of a reading, computed by hand."""
    one = {"<unk>": -1.5, "</s>": -0.7, "a": -0.9, "ab": -1.1}
    back = {"<s>": -0.3, "a": -0.2, "ab": -0.4}
    two = {("<s>", "ab"): -0.2, ("ab", "a"): -0.5, ("a", "</s>"): -0.4}

    def added(ids: tuple[int, ...]) -> float:
        words = [w if w in one else "<unk>" for w in "".join(surfaces[i] for i in ids).split()]
        pairs = zip(["<s>", *words], [*words, "</s>"], strict=True)
        log10 = sum(two.get((a, b), back.get(a, 0.0) + one[b]) for a, b in pairs)
        return weight * log10 * math.log(10) + bonus * len(words)

    return added


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_a_wide_beam_finds_what_an_exhaustive_search_finds(seed: int, frames: int) -> None:
    logits = clips(seed, frames)
    best = exhaustive(logits.values)[:5]
    (found,) = read_tokens(logits, BLANK, CtcSearch(beam=500, n_best=5), None)
    assert [a.ids for a in found.alternatives] == [ids for ids, _ in best]
    np.testing.assert_allclose([a.score for a in found.alternatives], [score for _, score in best], atol=1e-5)
    assert tuple(found.ids) == best[0][0]


@pytest.mark.parametrize("surfaces", [SURFACES, PIECES], ids=["letters", "pieces"])
@pytest.mark.parametrize(("weight", "bonus"), [(0.8, 0.0), (2.0, 1.5)])
def test_with_a_language_model_too(model: LanguageModel, surfaces: list[str], weight: float, bonus: float) -> None:
    search = CtcSearch(beam=500, n_best=3, language_model=model, language_weight=weight, word_bonus=bonus)

    @settings(max_examples=25, deadline=None)
    @given(st.integers(0, 10_000), st.integers(1, 5))
    def check(seed: int, frames: int) -> None:
        logits = clips(seed, frames)
        best = exhaustive(logits.values, opinion(surfaces, weight, bonus))[:3]
        (found,) = read_tokens(logits, BLANK, search, surfaces)
        np.testing.assert_allclose([a.score for a in found.alternatives], [s for _, s in best], atol=1e-5)
        assert tuple(found.ids) == best[0][0]

    check()


def test_a_kenlm_binary_finds_what_its_arpa_file_finds(model: LanguageModel) -> None:
    logits = clips(8, 12, 20, 5)
    models = model, load_language_model(KENLM / "small.probing")
    searches = (CtcSearch(beam=8, n_best=4, language_model=lm, language_weight=1.0) for lm in models)
    ours, theirs = (read_tokens(logits, BLANK, search, SURFACES) for search in searches)
    for one, other in zip(ours, theirs, strict=True):
        same(one, other)
        np.testing.assert_allclose(*([a.score for a in tokens.alternatives] for tokens in (one, other)), atol=1e-4)


def test_what_a_search_asks_a_kenlm_binary_does_not_outlive_it() -> None:
    binary = load_language_model(KENLM / "small.probing")
    assert isinstance(binary, KenlmBinary)
    search = CtcSearch(beam=8, language_model=binary)
    for seed in range(3):
        read_tokens(clips(seed, 40, 25), BLANK, search, SURFACES)
        assert (len(binary.states), len(binary.known)) == (1, 0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_hot_words_count_when_they_are_complete(seed: int) -> None:
    def added(ids: tuple[int, ...]) -> float:
        words = "".join(SURFACES[i] for i in ids).split()
        return 2.0 * sum(word in ("ab", "ba") for word in words)

    logits = clips(seed, 4)
    best = exhaustive(logits.values, added)[0]
    (found,) = read_tokens(
        logits, BLANK, CtcSearch(beam=500, n_best=2, hotwords=("AB", "ba"), hotword_boost=2.0), SURFACES
    )
    assert tuple(found.ids) == best[0]
    assert found.alternatives[0].score == pytest.approx(best[1], abs=1e-5)


def test_a_hot_word_survives_a_narrow_beam() -> None:
    logits = torch.full((6, 4), -4.0)
    for t, likely in enumerate([2, 0, 3, 1, 2, 0]):
        logits[t, likely] = 3.0
    logits[2, 2] = 2.6  # b, or nearly a
    packed = Packed(logits, (6,))
    plain = read_tokens(packed, BLANK, CtcSearch(beam=2), SURFACES)[0]
    hot = read_tokens(packed, BLANK, CtcSearch(beam=2, hotwords=("aa",)), SURFACES)[0]
    assert plain.ids.tolist() == [2, 3, 1, 2]
    assert hot.ids.tolist() == [2, 2, 1, 2]
    assert hot.starts[:2].tolist() == [0, 2]


def same(one: Tokens, other: Tokens) -> None:
    for name in ("ids", "starts", "ends"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_where_one_path_has_all_the_probability_a_beam_of_any_width_finds_it(seed: int, frames: int) -> None:
    """The prefix search itself, which `CtcSearch(beam=1)` does not ask for."""
    logits = clips(seed, frames)
    sharp = logits.of(logits.values + 40 * one_hot(logits.values.argmax(-1), 4))
    scores = Frames(sharp.values.double().log_softmax(-1)[None], (frames,), BLANK)
    (wanted,) = greedy(sharp, BLANK)
    for beam in (1, 4):
        assert search_beam(scores, beam, 3, 1, Unheard()).tokens[0][0] == wanted.ids.tolist()
    same(read_tokens(sharp, BLANK, CtcSearch(beam=4), None)[0], wanted)


def test_a_beam_of_one_without_words_is_the_greedy_search() -> None:
    """By definition; nothing is searched."""
    logits = clips(7, 30, 3)
    for one, other in zip(read_tokens(logits, BLANK, CtcSearch(beam=1), None), greedy(logits, BLANK), strict=True):
        same(one, other)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_times_are_those_of_the_likeliest_path(seed: int, frames: int) -> None:
    logits = clips(seed, frames)
    (found,) = read_tokens(logits, BLANK, CtcSearch(beam=50), None)
    scores = logits.values.double().log_softmax(-1)
    paths = [p for p in product(range(4), repeat=frames) if collapsed(p) == tuple(found.ids)]
    best = max(paths, key=lambda path: sum(float(scores[t, c]) for t, c in enumerate(path)))
    for token, start, end, score in zip(found.ids, found.starts, found.ends, found.scores, strict=True):
        assert set(best[start:end]) == {token}
        assert score == pytest.approx(float(scores[start:end, token].exp().mean()), abs=1e-6)
    assert sum(c != BLANK for c in best) == int((found.ends - found.starts).sum())
    assert ((found.scores >= 0) & (found.scores <= 1)).all()


@pytest.mark.parametrize("words", [False, True])
def test_the_company_of_a_clip_is_no_matter(words: bool, model: LanguageModel) -> None:
    search = CtcSearch(beam=6, n_best=3, language_model=model if words else None, hotwords=("ba",) if words else ())
    lengths = (7, 31, 1, 18, 31)
    together = clips(3, *lengths)
    found = read_tokens(together, BLANK, search, SURFACES)
    for values, length, clip in zip(together.clips(), lengths, found, strict=True):
        (alone,) = read_tokens(Packed(values, (length,)), BLANK, search, SURFACES)
        same(alone, clip)
        assert alone.alternatives == clip.alternatives


def test_one_reading_costs_no_alternatives() -> None:
    (found,) = read_tokens(clips(1, 9), BLANK, CtcSearch(beam=5), None)
    assert found.alternatives == ()


def test_few_classes_are_enough_for_few_readings() -> None:
    logits = clips(5, 60, 45, classes=40)
    wide = read_tokens(logits, BLANK, CtcSearch(beam=5), None)
    for one, other in zip(read_tokens(logits, BLANK, CtcSearch(beam=5, classes=12), None), wide, strict=True):
        same(one, other)


@pytest.mark.parametrize(
    ("search", "said"),
    [
        (CtcSearch(beam=0), "beam is 0; at least 1 is needed"),
        (CtcSearch(beam=2, n_best=3), "n_best is 3, but beam keeps only 2"),
        (CtcSearch(hotwords=("a",)), "this checkpoint has no vocabulary"),
    ],
)
def test_what_cannot_be_searched_is_said(search: CtcSearch, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_tokens(clips(0, 3), BLANK, search, None)
