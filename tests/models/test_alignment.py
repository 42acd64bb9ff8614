"""Texts laid onto their audio: what fits, what is missing, what cannot be spelled."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models import alignment as module
from models import load_model
from models.alignment import Alignment, Sound, align
from models.clock import Clock
from models.hush import nowhere
from models.labels import Labelled
from models.letters import write_letters
from models.protocol import FrameLogits, Refused
from models.transcript import Scribe
from models.vocabulary import Vocabulary, read_vocabulary
from tests.models.reference import noise, published

BLANK = 0


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    folder = tmp_path_factory.mktemp("letters")
    write_letters("abcdefghijk", folder)
    read = read_vocabulary(folder)
    assert read is not None
    return read


def said(vocabulary: Vocabulary, *heard: tuple[str, int], frames: int = 100) -> FrameLogits:
    """Words said letter by letter, every second frame from the given one."""
    logits = torch.zeros(1, frames, 16)
    logits[0, :, BLANK] = 8
    for word, first in heard:
        for i, letter in enumerate(vocabulary.ids(word)):
            logits[0, first + 2 * i, letter] = 16
    return FrameLogits(logits, torch.tensor([frames]))


def laid(vocabulary: Vocabulary, text: str, *heard: tuple[str, int], frames: int = 100) -> Alignment:
    scribe = Scribe(vocabulary, Clock(10, 0), reach=0, pause=100)
    return align(said(vocabulary, *heard, frames=frames), [text], [Sound(10 * frames, nowhere())], scribe, BLANK)[0]


def test_words_stand_where_they_are_heard(vocabulary: Vocabulary) -> None:
    alignment = laid(vocabulary, "bad cab", ("bad", 10), ("cab", 40))
    assert [(word.text, word.start, word.end, word.aligned) for word in alignment.words] == [
        ("bad", 100, 150, True),
        ("cab", 400, 450, True),
    ]
    assert alignment.fits
    assert alignment.coverage == 1.0
    assert alignment.words[1].score > 0.99


def test_a_number_takes_what_the_words_around_it_leave_and_says_so(vocabulary: Vocabulary) -> None:
    alignment = laid(vocabulary, "bad 42 cab", ("bad", 10), ("jig", 25), ("cab", 40))
    number = alignment.words[1]
    assert (number.text, number.aligned, number.missing, number.score) == ("42", False, "42", 0.0)
    assert number.start <= 250
    assert number.end >= 300
    assert [(word.start, word.end) for word in alignment.words[::2]] == [(100, 150), (400, 450)]
    assert alignment.score > 0.99


def test_numbers_in_a_row_share_what_is_left_by_their_length(vocabulary: Vocabulary) -> None:
    words = laid(vocabulary, "bad 4 400 cab", ("bad", 10), ("jig", 25), ("cab", 40)).words
    assert words[1].end == words[2].start
    assert words[2].end - words[2].start == pytest.approx(3 * (words[1].end - words[1].start), abs=4)


def test_a_symbol_lies_between_its_neighbours(vocabulary: Vocabulary) -> None:
    dash = laid(vocabulary, "bad -- cab", ("bad", 10), ("cab", 40)).words[1]
    assert (dash.start, dash.end, dash.aligned) == (150, 400, False)


def test_a_word_with_an_unknown_letter_is_aligned_by_the_others(vocabulary: Vocabulary) -> None:
    word = laid(vocabulary, "b7ad", ("bad", 10)).words[0]
    assert (word.start, word.end, word.aligned, word.missing) == (100, 150, True, "7")


def test_a_text_that_has_no_room_is_reported(vocabulary: Vocabulary) -> None:
    alignment = laid(vocabulary, "bad cab", ("bad", 0), frames=6)
    assert not alignment.fits
    assert alignment.loss == float("inf")
    assert [word.aligned for word in alignment.words] == [False, False]
    assert [(word.start, word.end) for word in alignment.words] == [(0, 30), (30, 60)]


def test_a_text_shorter_than_the_audio_does_not_cover_it(vocabulary: Vocabulary) -> None:
    alignment = laid(vocabulary, "bad", ("bad", 10), ("cab", 40), ("fed", 60))
    assert alignment.coverage == pytest.approx(1 / 3)
    assert (alignment.heard, alignment.expected) == (9, 3)


def test_a_text_longer_than_the_audio_scores_low(vocabulary: Vocabulary) -> None:
    alignment = laid(vocabulary, "bad cab fed", ("bad", 10))
    assert alignment.score < 0.5
    assert alignment.loss > 20
    assert alignment.expected > 2 * alignment.heard


def test_an_empty_text_costs_what_is_heard(vocabulary: Vocabulary) -> None:
    alignment = laid(vocabulary, "", ("bad", 10))
    assert alignment.words == ()
    assert alignment.fits
    assert alignment.loss > 20
    assert alignment.coverage == 0.0


@pytest.mark.parametrize("name", ["hubert-layer-ctc", "unispeech-group-ctc", "sew-d-group-ctc", "lasr-sum-ctc"])
def test_the_loss_is_the_models_own(name: str, vocabulary: Vocabulary) -> None:
    """Several clips, one refused, one too short for a frame."""
    model = load_model(published(name).folder)
    model.vocabulary = vocabulary
    spoilt = noise(8000)
    spoilt[5] = np.nan
    batch = model.frontend([noise(30_000), spoilt, noise(20), noise(20_801)])
    texts = ["cb bb", "b", "b", "dcb"]  # `a` is the blank of some
    aligned = model.align(batch, texts)
    assert isinstance(aligned[1], Refused)
    assert isinstance(aligned[2], Alignment)
    assert not aligned[2].fits
    own = model.loss(batch, [vocabulary.ids(text) for text in texts])
    for i in (0, 3):
        mine = aligned[i]
        assert isinstance(mine, Alignment)
        assert mine.loss == pytest.approx(float(own.per_clip[i]), abs=1e-3)
        times = [edge for word in mine.words for edge in (word.start, word.end)]
        assert times == sorted(times)


def test_clips_aligned_in_groups_or_in_a_band_are_aligned_the_same(
    vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = ("bad", 10), ("jig", 25), ("cab", 40)
    whole = laid(vocabulary, "bad 42 cab", *heard)
    monkeypatch.setattr(module, "LONG_CELLS", 10)
    assert laid(vocabulary, "bad 42 cab", *heard).words == whole.words


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30)), max_size=12))
def test_clips_of_like_length_share_a_lattice_that_has_room_and_long_ones_have_their_own(
    clips: list[tuple[int, int]],
) -> None:
    frames, texts = [count for count, _ in clips], [Labelled((), (1,) * labels, ()) for _, labels in clips]
    cells = [count * (2 * labels + 1) for count, labels in clips]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LONG_CELLS", 1000)
        patch.setattr(module, "GROUP_CELLS", 2000)
        groups = module._groups(frames, texts)
    assert sorted(i for group in groups for i in group) == [i for i, count in enumerate(frames) if count]
    for group in groups:
        padded = len(group) * max(frames[i] for i in group) * max(2 * len(texts[i].labels) + 1 for i in group)
        assert len(group) == 1 or (padded <= 2000 and max(cells[i] for i in group) <= 1000)
    if sum(map(len, groups)) * max(frames, default=0) * 61 <= 2000:
        assert len(groups) <= 1


@pytest.mark.parametrize("name", ["hubert-layer-ctc", "sew-d-group-ctc", "lasr-sum-ctc"])
def test_without_a_clip_nothing_is_aligned(name: str, vocabulary: Vocabulary) -> None:
    model = load_model(published(name).folder)
    model.vocabulary = vocabulary
    assert model.align(model.frontend([]), []) == []
    assert model.transcribe([]) == []


def test_a_text_for_every_clip_is_needed(vocabulary: Vocabulary) -> None:
    model = load_model(published("hubert-layer-ctc").folder)
    model.vocabulary = vocabulary
    with pytest.raises(ValueError, match="2 texts for 1 clips"):
        model.align(model.frontend([noise(8000)]), ["a", "b"])
