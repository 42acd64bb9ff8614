"""From frames to tokens."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.beam import Found, Frames, search_beam
from models.fusion import Fusion, Unheard, Words
from models.layers.packing import Packed
from models.protocol import Alternative, CtcSearch, Tokens
from models.spans import place_tokens


def greedy(logits: Packed, blank: int, temperature: float = 1.0) -> list[Tokens]:
    """The best class of each frame, repeats joined and blanks dropped, clip by clip.

    Collapsed where the logits are; only the kept tokens leave the device. A token's score is the mean posterior of
    its frames.
    """
    best, ids = logits.values.max(-1)
    posteriors = (best / temperature - (logits.values / temperature).logsumexp(-1)).exp()
    starts = _run_starts(ids, logits)
    run = starts.cumsum(0) - 1  # the run that each frame belongs to
    first = starts.nonzero()[:, 0]
    count = torch.bincount(run, minlength=len(first))
    sums = torch.zeros(len(first), device=run.device, dtype=torch.float32).index_add_(0, run, posteriors.float())
    kept = ids[first] != blank
    table = torch.stack([ids[first], first, first + count])[:, kept].cpu().numpy().astype(np.int32)
    return _by_clip(table, (sums / count)[kept].cpu().numpy(), logits.lengths)


def read_tokens(logits: Packed, blank: int, search: CtcSearch, surfaces: Sequence[str] | None) -> list[Tokens]:
    """Each clip's tokens, as the search says. `surfaces` is what each token writes."""
    if problems := search.flaws():
        raise ValueError("; ".join(problems))
    temperature = 1.0 if search.temperature is None else search.temperature
    if search.greedy:
        return greedy(logits, blank, temperature)
    if search.heeds_words and surfaces is None:
        raise ValueError("a language model or hot words need words, and this checkpoint has no vocabulary")
    fusion = Unheard() if not search.heeds_words else _words(search, surfaces or (), logits)
    order = sorted(range(len(logits.lengths)), key=lambda clip: -logits.lengths[clip])
    clips = logits.values.double().log_softmax(-1).split(logits.lengths)
    padded = torch.nn.utils.rnn.pad_sequence([clips[clip] for clip in order], batch_first=True)
    frames = Frames(padded, tuple(logits.lengths[clip] for clip in order), blank)
    found = search_beam(frames, search.beam, search.classes, search.n_best, fusion)
    placed = place_tokens(frames, [readings[0] for readings in found.tokens], temperature)
    told = [_with_alternatives(tokens, found, i) for i, tokens in enumerate(placed)] if search.n_best > 1 else placed
    return [told[order.index(clip)] for clip in range(len(order))]


def _words(search: CtcSearch, surfaces: Sequence[str], logits: Packed) -> Fusion:
    return Words(
        [*surfaces, *[""] * (logits.values.shape[1] - len(surfaces))],
        logits.values.device,
        language_model=search.language_model,
        language_weight=search.language_weight,
        word_bonus=search.word_bonus,
        hotwords=search.hotwords,
        hotword_boost=search.hotword_boost,
    )


def _with_alternatives(tokens: Tokens, found: Found, clip: int) -> Tokens:
    pairs = zip(found.tokens[clip], found.scores[clip], strict=True)
    return replace(tokens, alternatives=tuple(Alternative(tuple(ids), score) for ids, score in pairs))


def _run_starts(ids: Tensor, logits: Packed) -> Tensor:
    starts = torch.ones_like(ids, dtype=torch.bool)
    starts[1:] = ids[1:] != ids[:-1]
    starts[logits.positions() == 0] = True
    return starts


def _by_clip(table: npt.NDArray[np.int32], scores: npt.NDArray[np.float32], lengths: tuple[int, ...]) -> list[Tokens]:
    edges = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    cuts = np.searchsorted(table[1], edges)
    clips = zip(cuts, cuts[1:], edges, strict=False)
    return [
        Tokens(table[0, a:b].copy(), table[1, a:b] - offset, table[2, a:b] - offset, scores[a:b].copy())
        for a, b, offset in clips
    ]
