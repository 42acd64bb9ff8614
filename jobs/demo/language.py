"""An n-gram language model from sentences, written as an ARPA file.

Absolute discounting with interpolation: every n-gram that was seen gives up a fixed share of one count, which is dealt
out by what the shorter history knows; single words give theirs to all words evenly, the unknown one among them. So what
is seen and what is backed off to add up to one after every history.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

Gram = tuple[str, ...]
BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
IMPOSSIBLE = -99.0
"""What ARPA files write for the logarithm of nothing."""


def write_language_model(sentences: Iterable[str], path: Path, *, order: int = 3, discount: float = 0.5) -> None:
    """Estimate a model of this order from sentences of words, and write it."""
    if order < 2 or not 0 < discount < 1:  # KenLM does not read a model of order 1
        raise ValueError(f"order is {order} and discount {discount}; at least 2 and a share of one are needed")
    counts = _count(sentences, order)
    if not counts[0]:
        raise ValueError("a language model needs at least one sentence")
    likely, left = _estimate(counts, discount)
    path.write_text("\n".join(_arpa(likely, left)) + "\n", encoding="utf-8")


def _count(sentences: Iterable[str], order: int) -> list[Counter[Gram]]:
    """How often each n-gram is seen, by order; the beginning is a history only."""
    counts: list[Counter[Gram]] = [Counter() for _ in range(order)]
    for sentence in sentences:
        words = (BEGIN, *sentence.split(), END)
        for end in range(2, len(words) + 1):
            for n in range(1, min(order, end) + 1):
                counts[n - 1][words[end - n : end]] += 1
    return counts


def _estimate(counts: list[Counter[Gram]], discount: float) -> tuple[list[dict[Gram, float]], dict[Gram, float]]:
    """Probabilities by order, and the share that each history leaves to a shorter one."""
    left: dict[Gram, float] = {}
    likely: list[dict[Gram, float]] = []
    words = len(counts[0]) + 1  # and the unknown one
    for grams in counts:
        totals, kinds = _after(grams)
        left |= {history: discount * kinds[history] / totals[history] for history in totals}
        shorter = likely[-1] if likely else {}
        likely.append(
            {
                gram: (count - discount) / totals[gram[:-1]]
                + left[gram[:-1]] * (shorter[gram[1:]] if len(gram) > 1 else 1 / words)
                for gram, count in grams.items()
            }
        )
    likely[0][(UNKNOWN,)] = left[()] / words
    return likely, left


def _after(grams: Mapping[Gram, int]) -> tuple[Counter[Gram], Counter[Gram]]:
    """How many words follow each history, and how many different ones."""
    totals: Counter[Gram] = Counter()
    kinds: Counter[Gram] = Counter()
    for gram, count in grams.items():
        totals[gram[:-1]] += count
        kinds[gram[:-1]] += 1
    return totals, kinds


def _arpa(likely: list[dict[Gram, float]], left: Mapping[Gram, float]) -> Iterable[str]:
    sections = [dict(grams) for grams in likely]
    sections[0] = {**sections[0], (BEGIN,): 0.0}
    yield from ["\\data\\", *(f"ngram {n}={len(grams)}" for n, grams in enumerate(sections, 1))]
    for n, grams in enumerate(sections, 1):
        yield from ["", f"\\{n}-grams:"]
        for gram, probability in sorted(grams.items()):
            logarithm = math.log10(probability) if probability > 0 else IMPOSSIBLE
            back = f"\t{math.log10(left[gram]):.7f}" if gram in left else ""
            yield f"{logarithm:.7f}\t{' '.join(gram)}{back}"
    yield from ["", "\\end\\"]
