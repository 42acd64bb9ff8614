"""Centroids of a stream of frames, in one pass and bounded memory: what is drawn depends on a seed and nothing else.

The first frames are clustered with care (k-means++ and some turns over all of them); the rest move the centroids on, a
mini-batch at a time, each by its share of what a centroid has seen (Sculley, 2010).
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

FIRST = 200
"""Frames for each centroid that the beginning is made of, where there are so many."""
MINI_BATCH = 4096
"""Frames that move the centroids at once."""
TURNS = 20
"""Over the first frames."""
AT_ONCE = 8192
"""Frames whose distances are held at once."""


class TooFewError(ValueError):
    """There are fewer frames than centroids were asked for."""


def fit(frames: Iterable[Tensor], clusters: int, seed: int) -> Tensor:
    """(clusters, width) centroids of a stream of (frames, width)."""
    stream = _regrouped(frames, max(MINI_BATCH, FIRST * clusters))
    first = next(stream, torch.zeros(0, 1))
    if len(first) < clusters:
        raise TooFewError(f"the sample has {len(first)} frames, and {clusters} clusters were asked for")
    centroids = _begun(first, clusters, torch.Generator().manual_seed(seed))
    for _ in range(TURNS):
        centroids, counts = _turned(first, centroids)
    for rest in stream:
        for batch in rest.split(MINI_BATCH):
            centroids, counts = _moved(batch, centroids, counts)
    return centroids


def nearest(frames: Tensor, centroids: Tensor) -> Tensor:
    """(frames,) the number of each frame's nearest centroid."""
    if not len(frames):
        return torch.zeros(0, dtype=torch.long)
    half = (centroids.double() ** 2).sum(1) / 2  # |x - c|^2 without what all centroids share
    return torch.cat([(half - part.double() @ centroids.double().T).argmin(1) for part in frames.split(AT_ONCE)])


def _regrouped(frames: Iterable[Tensor], size: int) -> Iterator[Tensor]:
    """The same frames, `size` at a time."""
    held: list[Tensor] = []
    count = 0
    for part in frames:
        held.append(part)
        count += len(part)
        while count >= size:
            whole = torch.cat(held)
            yield whole[:size]
            held, count = [whole[size:]], count - size
    if count:
        yield torch.cat(held)


def _begun(frames: Tensor, clusters: int, chance: torch.Generator) -> Tensor:
    """K-means++: each further centroid is a frame, the likelier the farther it is from those there are."""
    chosen = [frames[int(torch.randint(len(frames), (1,), generator=chance))]]
    far = (frames - chosen[0]).double().pow(2).sum(1)
    while len(chosen) < clusters:
        weights = far if bool(far.sum() > 0) else torch.ones_like(far)
        chosen.append(frames[int(torch.multinomial(weights, 1, generator=chance))])
        far = torch.minimum(far, (frames - chosen[-1]).double().pow(2).sum(1))
    return torch.stack(chosen).double()


def _turned(frames: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """Every centroid to the middle of its frames; one without any stays."""
    sums, counts = _gathered(frames, centroids)
    return torch.where(counts[:, None] > 0, sums / counts.clamp_min(1)[:, None], centroids), counts


def _moved(batch: Tensor, centroids: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    sums, here = _gathered(batch, centroids)
    seen = counts + here
    return centroids + (sums - here[:, None] * centroids) / seen.clamp_min(1)[:, None], seen


def _gathered(frames: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of each centroid's frames, and how many they are."""
    owners = nearest(frames, centroids)
    sums = torch.zeros_like(centroids).index_add_(0, owners, frames.double())
    return sums, torch.bincount(owners, minlength=len(centroids)).double()
