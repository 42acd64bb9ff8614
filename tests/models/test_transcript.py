"""Words with times and confidence, for every family that writes."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import SpeechModel, load_model
from models.alignment import Alignment
from models.clock import Clock
from models.letters import write_letters
from models.protocol import CtcSearch, Generation, Refused, Tokens
from models.transcript import Scribe, Transcript
from models.vocabulary import Vocabulary, read_vocabulary
from tests.models.reference import noise, published
from tests.models.writing import ours as writer

NAMES = ("hubert-layer-ctc", "unispeech-layer-ctc", "sew-d-group-ctc", "sew-d-thirds-ctc", "lasr-ctc")
CLOCK = Clock(320, 40)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    folder = tmp_path_factory.mktemp("letters")
    write_letters("abcdefghijk", folder)
    read = read_vocabulary(folder)
    assert read is not None
    return read


@cache
def speller(name: str) -> SpeechModel:
    return load_model(published(name).folder)


def tokens(*spans: tuple[int, int, int, float]) -> Tokens:
    ids, starts, ends, scores = zip(*spans, strict=True)
    whole = [np.array(column, np.int32) for column in (ids, starts, ends)]
    return Tokens(*whole, np.array(scores, np.float32))


def test_words_are_timed_by_their_tokens_and_split_where_nothing_is_said(vocabulary: Vocabulary) -> None:
    between, (a, b) = vocabulary.delimiter, vocabulary.ids("ab")
    assert between is not None
    said = tokens(
        (a, 2, 3, 0.9), (b, 4, 5, 0.5), (between, 6, 7, 0.2), (b, 8, 9, 0.8), (between, 9, 10, 1), (a, 90, 92, 1)
    )
    transcript = Scribe(vocabulary, CLOCK, reach=640, pause=8000).transcript(said, 40_000)
    assert transcript.text == "ab b a"
    assert [(word.text, word.start, word.end) for word in transcript.words] == [
        ("ab", 40 + 2 * 320 - 640, 40 + 5 * 320 + 480),
        ("b", 40 + 5 * 320 + 480, 40 + 9 * 320 + 640),
        ("a", 40 + 90 * 320 - 640, 40 + 92 * 320 + 640),
    ]
    assert [segment.text for segment in transcript.segments] == ["ab b", "a"]
    assert [word.confidence for word in transcript.words] == pytest.approx([0.5, 0.8, 1.0])
    assert transcript.segments[0].confidence == pytest.approx(0.65)
    assert transcript.confidence == pytest.approx(2.3 / 3)


def test_a_clip_without_a_word_has_an_empty_transcript(vocabulary: Vocabulary) -> None:
    nothing = Tokens(*(np.empty(0, np.int32),) * 3, np.empty(0, np.float32))
    assert Scribe(vocabulary, CLOCK, 640, 8000).transcript(nothing, 0) == Transcript("", 0.0, ())


@settings(deadline=None, max_examples=15)
@given(samples=st.integers(0, 30_000), seed=st.integers(0, 50), beam=st.integers(1, 2))
@pytest.mark.parametrize("name", NAMES)
def test_every_family_tells_times_in_order_and_inside_the_clip(
    name: str, vocabulary: Vocabulary, samples: int, seed: int, beam: int
) -> None:
    model = speller(name)
    model.vocabulary = vocabulary
    transcript = model.transcribe([noise(samples, seed)], CtcSearch(beam))[0]
    assert isinstance(transcript, Transcript)
    assert_times_in_order(transcript, samples)


def assert_times_in_order(transcript: Transcript, samples: int) -> None:
    assert transcript.text.split() == [word.text for word in transcript.words]
    flat = np.array([(word.start, word.end) for word in transcript.words]).flatten()
    assert (np.diff(flat) >= 0).all()
    assert ((flat >= 0) & (flat <= samples)).all()
    assert all(0 <= part.confidence <= 1 for part in (*transcript.words, *transcript.segments, transcript))


@settings(deadline=None, max_examples=12)
@given(samples=st.integers(0, 30_000), seed=st.integers(0, 50), beams=st.integers(1, 2))
def test_a_decoder_tells_times_in_order_and_inside_the_clip(
    vocabulary: Vocabulary, samples: int, seed: int, beams: int
) -> None:
    """Its letters stand for the first of its tokens; the others write nothing."""
    model = writer("untied")
    model.vocabulary = vocabulary
    transcript = model.transcribe([noise(samples, seed)], Generation(beams, max_length=20), delay_seconds=0.01)[0]
    assert isinstance(transcript, Transcript)
    assert transcript.words or samples < 8_000
    assert_times_in_order(transcript, samples)


def test_a_checkpoint_that_writes_late_is_taken_to_have_heard_earlier(vocabulary: Vocabulary) -> None:
    model = speller("hubert-layer-ctc")
    model.vocabulary = vocabulary
    (a,) = vocabulary.ids("a")
    assert vocabulary.delimiter is not None
    said = tokens((a, 20, 21, 1), (vocabulary.delimiter, 30, 31, 1), (a, 40, 41, 1))
    late, early = (model.scribe(delay_seconds=seconds).words(said, 40_000) for seconds in (0.0, 0.04))
    assert [(word.start - 640, word.end - 640) for word in late] == [(word.start, word.end) for word in early]


def test_the_delay_moves_what_is_read_and_what_is_aligned(vocabulary: Vocabulary) -> None:
    model = speller("hubert-layer-ctc")
    model.vocabulary = vocabulary
    clip = noise(20_801)
    read = [model.transcribe([clip], delay_seconds=seconds)[0] for seconds in (0.0, 0.04)]
    laid = [model.align(model.frontend([clip]), ["bad cab"], seconds)[0] for seconds in (0.0, 0.04)]
    for late, early in (read, laid):
        assert isinstance(late, Transcript | Alignment)
        assert isinstance(early, Transcript | Alignment)
        assert [word.text for word in late.words] == [word.text for word in early.words]
        assert [word.end for word in late.words] != [word.end for word in early.words]


@pytest.mark.parametrize("name", NAMES)
def test_tokens_know_where_their_clip_is_quiet(name: str, vocabulary: Vocabulary) -> None:
    """A second of silence on both sides is known with the tokens, whatever they say."""
    model = speller(name)
    model.vocabulary = vocabulary
    hush = np.zeros(16_000, np.float32)
    batch = model.frontend([np.concatenate([hush, noise(20_801), hush])])
    (tokens,) = model.predict(batch)
    assert isinstance(tokens, Tokens)
    np.testing.assert_allclose(tokens.quiet[[0, -1], [1, 0]], [16_000, 36_801], atol=480)
    assert tokens.quiet.tolist() == model.quiet(batch)[0].tolist()


def test_a_spoilt_clip_is_refused_and_its_neighbour_is_not(vocabulary: Vocabulary) -> None:
    model = speller("hubert-layer-ctc")
    model.vocabulary = vocabulary
    spoilt = noise(8000)
    spoilt[5] = np.nan
    told = model.transcribe([spoilt, noise(8000)])
    assert isinstance(told[0], Refused)
    assert isinstance(told[1], Transcript)


@pytest.mark.parametrize("beam", [1, 4])
def test_a_higher_temperature_spells_the_same_and_is_less_sure(beam: int, vocabulary: Vocabulary) -> None:
    """Also where words are chosen by more than their posteriors, which are not what is chosen by."""
    model = load_model(published("hubert-layer-ctc").folder)
    model.head.vocabulary = vocabulary
    batch = model.frontend([noise(20_801)])
    for words in (0.0, 3.0) if beam > 1 else (0.0,):
        cold, warm = (model.predict(batch, CtcSearch(beam, word_bonus=words, temperature=t))[0] for t in (1.0, 4.0))
        assert isinstance(cold, Tokens)
        assert isinstance(warm, Tokens)
        assert len(cold.ids) > 5
        assert cold.ids.tolist() == warm.ids.tolist()
        assert cold.starts.tolist() == warm.starts.tolist()
        assert warm.scores.mean() < cold.scores.mean()


def test_a_temperature_is_above_zero() -> None:
    model = speller("hubert-layer-ctc")
    with pytest.raises(ValueError, match=r"temperature is 0\.0; a number above 0 is needed"):
        model.predict(model.frontend([noise(8000)]), CtcSearch(temperature=0.0))


def test_what_cannot_write_says_so() -> None:
    with pytest.raises(ValueError, match="does not write text"):
        load_model(published("hubert-group-classes").folder).transcribe([noise(8000)])
    with pytest.raises(ValueError, match=r"no vocabulary.*vocab\.json"):
        load_model(published("unispeech-group-bias-ctc").folder).transcribe([noise(8000)])
