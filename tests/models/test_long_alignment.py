"""A text on a recording of many windows: the words stand where they stand in each window alone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from jobs.demo.recordings import heard
from jobs.demo.truth import read_truth
from models import alignment as module
from models import load_model
from models.alignment import AlignedWord, Alignment
from models.long_alignment import Heard, Part, align_recordings
from models.model import SpeechModel

DEMO = Path(__file__).parents[2] / "jobs" / "demo"


@dataclass(frozen=True)
class Corpus:
    """Clips end to end, each heard as a window of its own."""

    model: SpeechModel
    parts: list[Part]
    texts: list[str]
    words: list[AlignedWord]
    """Of each clip aligned alone, moved to its place."""
    samples: int


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    model = load_model(DEMO / "checkpoints" / "lasr")
    known = [truth for truth in read_truth(DEMO / "corpus") if truth.file.startswith("loose/flac")]
    clips = [heard((DEMO / "corpus" / truth.file).read_bytes())[0] for truth in known]
    clips = [clip[: len(clip) // 640 * 640] for clip in clips]  # whole frames, so that no frame spans two clips
    batch = model.frontend(clips)
    output = model(batch)
    scores = [each[:frames] for each, frames in zip(output.logits, output.lengths.tolist(), strict=True)]  # type: ignore[union-attr]
    alone = [each for each in model.align(batch, [truth.text for truth in known]) if isinstance(each, Alignment)]
    starts = np.cumsum([0, *map(len, clips)]).tolist()
    places = zip(alone, starts[:-1], strict=True)
    return Corpus(
        model,
        [
            Part(score, begin, (begin, begin + len(clip)), quiet)
            for score, begin, clip, quiet in zip(scores, starts[:-1], clips, model.quiet(batch), strict=True)
        ],
        [truth.text for truth in known],
        [moved(word, start) for each, start in places for word in each.words],
        starts[-1],
    )


def moved(word: AlignedWord, by: int) -> AlignedWord:
    return AlignedWord(word.text, word.start + by, word.end + by, word.score, word.aligned, word.missing)


def aligned(corpus: Corpus, times: int = 1) -> Alignment:
    """The corpus, so many times over."""
    parts = [
        Part(part.scores, part.start + by, (part.core[0] + by, part.core[1] + by), part.quiet)
        for by in (corpus.samples * turn for turn in range(times))
        for part in corpus.parts
    ]
    text = " ".join(corpus.texts * times)
    return laid(corpus, parts, text, corpus.samples * times)


def laid(corpus: Corpus, parts: list[Part], text: str, samples: int) -> Alignment:
    """One recording."""
    blank = corpus.model.head.config.pad_token_id  # type: ignore[union-attr]
    (found,) = align_recordings([Heard(parts, text, samples)], corpus.model.scribe(), blank)
    assert found is not None
    return found


def test_one_window_is_aligned_as_a_clip_is(corpus: Corpus) -> None:
    part, text = corpus.parts[0], corpus.texts[0]
    found = laid(corpus, [part], text, part.core[1])
    count = len(text.split())
    assert [(word.text, word.start) for word in found.words] == [(w.text, w.start) for w in corpus.words[:count]]
    assert [word.score for word in found.words] == pytest.approx([w.score for w in corpus.words[:count]], abs=1e-5)


@pytest.mark.parametrize("band", [True, False])
def test_twenty_minutes_are_aligned_as_their_clips_are(
    band: bool, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a band, and for two turns of it in the whole lattice; within two frames, but for the clips' edges."""
    turns = round(20 * 60 * 16_000 / corpus.samples) if band else 2
    monkeypatch.setattr(module, "LONG_CELLS", 1 << (20 if band else 62))
    found = aligned(corpus, turns)
    assert len(found.words) == turns * len(corpus.words)
    assert found.exact
    step = corpus.model.clock.step  # type: ignore[union-attr]
    wanted = [moved(word, corpus.samples * turn) for turn in range(turns) for word in corpus.words]
    off = [abs(here.start - there.start) / step for here, there in zip(found.words, wanted, strict=True)]
    assert max(off) <= 2, f"the furthest is {max(off)} frames off"
    assert [word.aligned for word in found.words] == [True] * len(found.words)


def test_silence_between_windows_keeps_the_words_after_it_in_their_place(corpus: Corpus) -> None:
    """A window of digital silence is not heard: a minute is missing between two clips."""
    by = 60 * 16_000
    first, second = corpus.parts[:2]
    late = Part(second.scores, second.start + by, (second.core[0] + by, second.core[1] + by), second.quiet)
    text = " ".join(corpus.texts[:2])
    found = laid(corpus, [first, late], text, late.core[1])
    count = len(corpus.texts[0].split())
    step = corpus.model.clock.step
    for here, there in zip(found.words, corpus.words, strict=False):
        late_by = by if there.start >= second.core[0] else 0
        assert abs(here.start - there.start - late_by) <= 2 * step
    assert found.words[count - 1].end < first.core[1] + step, "no word is spread over the silence"


def test_windows_that_overlap_give_each_frame_once(corpus: Corpus) -> None:
    """What two windows hear of the same second belongs to the one whose core it lies in."""
    part = corpus.parts[1]
    frames, step = len(part.scores), corpus.model.clock.step
    middle, around = frames // 2, 12
    edge = part.start + step * middle
    later = step * (middle - around)
    left = Part(part.scores[: middle + around], part.start, (part.start, edge), part.quiet)
    right = Part(part.scores[middle - around :], part.start + later, (edge, part.core[1]), part.quiet - later)
    whole, cut = (laid(corpus, parts, corpus.texts[1], part.core[1]) for parts in ([part], [left, right]))
    assert cut.words == whole.words
    assert cut.loss == pytest.approx(whole.loss, abs=1e-3)


def test_nothing_heard_is_nothing_aligned(corpus: Corpus) -> None:
    nothing = Part(torch.zeros(0, 32), 0, (0, 100))
    assert align_recordings([Heard([nothing], "a text", 100)], corpus.model.scribe(), 0) == [None]
    assert align_recordings([], corpus.model.scribe(), 0) == []


def test_a_number_between_pieces_that_carry_their_space_is_not_aligned(corpus: Corpus) -> None:
    """Of `1984` such a vocabulary could write the space before it, which nobody hears."""
    spelling = corpus.model.vocabulary.spell("1984")[0]  # type: ignore[union-attr]
    assert (spelling.ids, spelling.missing) == ((), "1984")
    part = corpus.parts[0]
    first, *rest = corpus.texts[0].split()
    found = laid(corpus, [part], " ".join([first, "1984", *rest]), part.core[1])
    assert [word.text for word in found.words if not word.aligned] == ["1984"]
