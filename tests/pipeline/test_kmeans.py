"""K-means over a stream: true clusters are found, by the seed alone, however the stream is dealt out."""

import pytest
import torch
from torch import Tensor

from pipeline import kmeans
from pipeline.kmeans import TooFewError, fit, nearest

MIDDLES = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0], [30.0, 30.0]])


def frames(count: int = 5000, seed: int = 0) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    which = torch.randint(len(MIDDLES), (count,), generator=chance)
    return MIDDLES[which] + 0.5 * torch.randn(count, 2, generator=chance)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that most of the stream comes as mini-batches."""
    monkeypatch.setattr(kmeans, "FIRST", 40)
    monkeypatch.setattr(kmeans, "MINI_BATCH", 100)


def test_the_middles_are_found() -> None:
    found = fit([frames()], 5, seed=3)
    torch.testing.assert_close(found[nearest(MIDDLES, found)].float(), MIDDLES, atol=0.1, rtol=0)


def test_the_seed_decides_and_not_how_the_stream_is_dealt_out() -> None:
    whole = frames()
    one = fit([whole], 7, seed=1)
    assert torch.equal(fit(iter(whole.split(333)), 7, seed=1), one)
    assert not torch.equal(fit([whole], 7, seed=2), one)


def test_what_comes_later_moves_the_centroids() -> None:
    """The stream drifts: what the first frames gave is not the end."""
    early, late = torch.randn(400, 2), torch.randn(4000, 2) + 6.0
    (moved,) = fit([early, late], 1, seed=0)
    torch.testing.assert_close(moved, torch.cat([early, late]).double().mean(0), atol=1e-6, rtol=0)


def test_nearest_is_by_distance() -> None:
    many = frames(20_000)
    wanted = torch.cdist(many.double(), MIDDLES.double()).argmin(1)
    assert torch.equal(nearest(many, MIDDLES), wanted)


def test_too_few_frames_are_told() -> None:
    with pytest.raises(TooFewError, match="has 3 frames, and 5 clusters"):
        fit([frames(3)], 5, seed=0)


def test_frames_that_are_all_the_same_can_be_clustered() -> None:
    assert torch.equal(fit([torch.ones(50, 2)], 3, seed=0), torch.ones(3, 2).double())
