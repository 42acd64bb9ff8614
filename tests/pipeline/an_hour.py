"""A long recording laid onto its text as the job does it: `python -m tests.pipeline.an_hour 60 512`, by itself.

What a model would have heard in pieces of half a minute is made up, each token in one frame of its own, so that the
memory is that of the alignment. It writes what was found, and the bytes that finding it took beside the frames.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from models import load_model
from models.labels import label
from pipeline.aligning import QUIET, SCORES, Aligning

HUBERT = Path(__file__).parents[2] / "jobs" / "demo" / "checkpoints" / "hubert"
PIECE_SECONDS, WORDS_A_MINUTE = 30, 150
LETTERS = list("abcdefghiklmnoprstuvw")


def main(minutes: int, classes: int) -> None:
    """Of a vocabulary of so many tokens the text has the letters."""
    model, chance = load_model(HUBERT), np.random.default_rng(0)
    assert model.vocabulary is not None
    words = ["".join(chance.choice(LETTERS, size)) for size in chance.integers(1, 8, minutes * WORDS_A_MINUTE)]
    labels = label(model.vocabulary.spell(" ".join(words)), classes, model.vocabulary.delimiter).labels
    samples, step = PIECE_SECONDS * model.sample_rate, model.clock.step
    pieces = minutes * 60 // PIECE_SECONDS
    frames = pieces * samples // step
    logits = torch.from_numpy(chance.standard_normal((frames, classes), np.float32))
    logits[:, model.head.config.pad_token_id] += 12  # type: ignore[union-attr]
    places = torch.linspace(2, frames - 3, len(labels)).long()
    logits[places, torch.tensor(labels)] += 24
    owners = [
        {
            **{"shard": "s", "ordinal": 0, "channel": None, "failure": None, "reference": " ".join(words)},
            **{"index": i, "last": i == pieces - 1, "start": i * samples, "samples": samples},
            **{"core_begin": i * samples, "core_end": (i + 1) * samples, "total": pieces * samples},
        }
        for i in range(pieces)
    ]
    heard = [{SCORES: part, QUIET: np.zeros((0, 2), np.int64)} for part in logits.split(samples // step)]
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    found = Aligning().settle(model, owners, heard)[0]
    peak = status("VmHWM") - before
    assert isinstance(found, dict)
    told = [word for word in found["words"] if word["aligned"]]
    first = np.cumsum([0, *(len(word) + 1 for word in words[:-1])])
    off = np.abs([word["start"] for word in told] - places.numpy()[first] * step) / model.sample_rate
    result = {"words": len(told), "of": len(words), "off": float(off.max()), "exact": found["alignment"]["exact"]}
    sys.stdout.write(json.dumps(result | {"peak": peak, "frames": logits.nbytes}))


def status(name: str) -> int:
    """Bytes, from a line of this process's status."""
    return 1024 * int(Path("/proc/self/status").read_text().split(f"{name}:")[1].split()[0])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
