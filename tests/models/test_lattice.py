"""The best way through frames, and the sum of all ways, against a program that fits on one screen."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from models import lattice
from models.lattice import find_long_path, find_paths

BLANK = 0


def best_states(scores: npt.NDArray[np.float64], labels: list[int]) -> list[int]:
    """The textbook's way: one cell after another."""
    states = [BLANK] * (2 * len(labels) + 1)
    states[1::2] = labels
    best = np.full((len(scores), len(states)), -np.inf)
    came = np.zeros(best.shape, int)
    best[0, :2] = scores[0, states[:2]]
    for t in range(1, len(scores)):
        for s, label in enumerate(states):
            ways = [best[t - 1, s]]
            ways.append(best[t - 1, s - 1] if s else -np.inf)
            ways.append(best[t - 1, s - 2] if s > 2 and label not in {BLANK, states[s - 2]} else -np.inf)
            came[t, s] = np.argmax(ways)
            best[t, s] = max(ways) + scores[t, label]
    s = len(states) - 1
    if labels and best[-1, s - 1] > best[-1, s]:
        s -= 1
    if best[-1, s] == -np.inf:
        return []
    path = [s]
    for t in range(len(scores) - 1, 0, -1):
        s -= came[t, s]
        path.append(s)
    return path[::-1]


def guesses(clips: int, frames: int, classes: int, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(clips, frames, classes, generator=random)).log_softmax(-1)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 24), st.lists(st.integers(1, 3), max_size=8)), min_size=1, max_size=5),
    st.integers(0, 10**6),
)
def test_the_way_is_the_best_one_and_the_total_is_the_loss(clips: list[tuple[int, list[int]]], seed: int) -> None:
    """Repeated labels, empty texts and texts that are too long come up by themselves."""
    lengths, labels = [frames for frames, _ in clips], [text for _, text in clips]
    scores = guesses(len(clips), max(lengths), 4, seed)
    paths = find_paths(scores, lengths, labels, BLANK)
    flat = torch.tensor([label for text in labels for label in text], dtype=torch.long)
    sizes = torch.tensor([len(text) for text in labels])
    losses = F.ctc_loss(scores.transpose(0, 1), flat, torch.tensor(lengths), sizes, BLANK, "none")
    for path, row, frames, text, loss in zip(paths, scores, lengths, labels, losses.tolist(), strict=True):
        assert path.states.tolist() == best_states(row[:frames].double().numpy(), text)
        assert -path.total == pytest.approx(loss, abs=1e-3)
        assert path.exact


def test_a_clip_of_ten_seconds_has_the_loss_of_ctc_loss() -> None:
    scores, labels = guesses(2, 500, 32, seed=1), [[1 + i % 31 for i in range(n)] for n in (150, 3)]
    flat = torch.tensor(labels[0] + labels[1])
    losses = F.ctc_loss(scores.transpose(0, 1), flat, torch.tensor([500, 400]), torch.tensor([150, 3]), 0, "none")
    totals = [-path.total for path in find_paths(scores, [500, 400], labels, BLANK)]
    assert totals == pytest.approx(losses.tolist(), abs=1e-3)


def speech(labels: int, seed: int) -> tuple[Tensor, list[int]]:
    """Letters four frames apart, each heard in one of them, over doubtful silence."""
    random = np.random.default_rng(seed)
    text = random.integers(1, 30, labels)
    scores = random.normal(0, 1, (4 * labels, 30)).astype(np.float32)
    scores[:, BLANK] += 6
    scores[np.arange(labels) * 4 + random.integers(0, 4, labels), text] += 12
    return torch.from_numpy(scores).log_softmax(-1), text.tolist()


def test_a_long_recording_is_aligned_in_a_band_as_it_is_without() -> None:
    scores, text = speech(1500, seed=2)
    whole, band = find_paths(scores[None], [len(scores)], [text], BLANK)[0], find_long_path(scores, text, BLANK, 2048)
    assert band.exact
    assert np.array_equal(band.states, whole.states)
    assert band.total == pytest.approx(whole.total, abs=1e-3)


@given(st.integers(1, 600), st.integers(0, 40), st.integers(0, 100))
@settings(deadline=None, max_examples=20)
def test_where_the_band_holds_every_state_nothing_differs(frames: int, labels: int, seed: int) -> None:
    scores = guesses(1, frames, 5, seed)
    text = np.random.default_rng(seed).integers(1, 5, labels).tolist()
    whole, band = find_paths(scores, [frames], [text], BLANK)[0], find_long_path(scores[0], text, BLANK)
    assert band.exact
    assert np.array_equal(band.states, whole.states)
    assert band.total == pytest.approx(whole.total, abs=1e-3)


def test_a_band_that_may_have_lost_the_best_way_says_so() -> None:
    """Half of the text was never said."""
    scores, text = speech(1500, seed=3)
    path = find_long_path(scores, text[:700] + speech(1200, seed=4)[1] + text[700:], BLANK, 2048)
    assert len(path.states) == len(scores)
    assert not path.exact


def test_a_band_with_little_memory_decides_early_and_stays_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lattice, "PENDING_BYTES", 0)
    scores, text = speech(1500, seed=2)
    path = find_long_path(scores, text, BLANK, 2048)
    steps = np.diff(path.states)
    assert len(path.states) == len(scores)
    assert steps.min() >= 0
    assert steps.max() <= 2


@pytest.mark.gpu
def test_a_gpu_finds_the_same_way() -> None:
    scores, labels = guesses(3, 200, 12, seed=6), [[1, 1, 2], [], list(range(1, 12)) * 4]
    here, there = (find_paths(scores.to(device), [200, 150, 180], labels, BLANK) for device in ("cpu", "cuda"))
    for mine, theirs in zip(there, here, strict=True):
        assert np.array_equal(mine.states, theirs.states)
        assert mine.total == pytest.approx(theirs.total, abs=1e-3)


@pytest.mark.gpu
def test_a_gpu_walks_a_band_the_same_way() -> None:
    scores, text = speech(1500, seed=2)
    here, there = (find_long_path(scores.to(device), text, BLANK, 2048) for device in ("cpu", "cuda"))
    assert np.array_equal(here.states, there.states)
    assert (there.exact, there.total) == (here.exact, pytest.approx(here.total, abs=1e-2))
