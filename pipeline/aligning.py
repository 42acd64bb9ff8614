"""Reference texts laid onto their recordings: words with times and scores, and what the text costs.

A recording is heard in pieces like any other, and its text is aligned once, to all of them, beside the model. So all
its pieces come in one batch, and its length has a limit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from models import SpeechModel
from models.alignment import Alignment
from models.heads import CtcHead
from models.long_alignment import Heard, Part, align_recordings, on_cpu
from models.protocol import FrameLogits, Padded, Refused
from models.transcript import Scribe
from pipeline.audio.rules import AudioRules
from pipeline.decoding import SILENT, Fields
from pipeline.own import core, place
from pipeline.references import References, ReferencesError
from pipeline.schema import EMPTY, OK
from pipeline.stitching import Making, Piece, Row, Stitch, Texts
from pipeline.storage import StoreError

SCORES, QUIET = "scores", "quiet"
"""What a piece's frames say and where it is quiet, on the way from `hear` to `settle`; they do not leave the actor."""
LONGER, SHORTER = 1.25, 0.8
"""A text is longer than its audio when it has so many times the tokens that the model reads by itself (and a few more);
shorter, when less than this share of them falls inside its words."""
FEW = 3
"""Tokens too many that say nothing."""


@dataclass(frozen=True)
class Aligning:
    """Texts onto audio."""

    references: References = References()
    longest_hours: float = 2.0
    """Longer recordings are skipped: all pieces of one are held together."""
    delay_seconds: float | None = None
    """How late the checkpoint writes what it hears; None is what its calibration says."""

    def flaws(self, model: SpeechModel) -> Iterator[str]:
        """No CTC head, no vocabulary, or no readable texts."""
        if not isinstance(model.head, CtcHead):
            yield f"a {model.architecture} cannot align: a checkpoint with a CTC head does"
        elif model.vocabulary is None:
            yield "it has no vocabulary file, so texts cannot be spelled"
        try:
            self.references.known()
        except (ReferencesError, StoreError) as error:
            yield from (f"references: {line}" for line in str(error).splitlines())

    def audio(self, model: SpeechModel, rules: AudioRules) -> AudioRules:
        """As for transcription, up to the limit."""
        longest = self.longest_hours * 3600
        return replace(rules, skip_longer_seconds=min(longest, rules.skip_longer_seconds or longest))

    def stitch(self, model: SpeechModel) -> Stitch:
        """The words that were aligned."""
        return Aligned()

    def hear(self, model: SpeechModel, batch: Padded, owners: Sequence[Row]) -> Sequence[Fields | Refused]:
        """What the frames of each clip say, kept for `settle`."""
        with torch.inference_mode():
            output = model(batch)
        assert isinstance(output, FrameLogits)
        rows = zip(output.logits, output.lengths.tolist(), model.quiet(batch), batch.refusals, strict=True)
        return [
            {SCORES: clip[:frames].clone(), QUIET: quiet} if why is None else Refused(why)
            for clip, frames, quiet, why in rows
        ]

    def settle(
        self, model: SpeechModel, owners: Sequence[Row], heard: Sequence[Fields | Refused]
    ) -> list[Fields | Refused]:
        """Each recording's alignment, with the first of its pieces; all of the batch are aligned together."""
        settled = [each if isinstance(each, Refused) else SILENT for each in heard]
        whole = [
            members
            for members in _recordings(owners)
            if not any(isinstance(heard[i], Refused) or owners[i]["failure"] for i in members)
        ]
        found = _aligned(
            model,
            model.scribe(delay_seconds=self.delay_seconds),
            [_recording(owners, heard, members) for members in whole],
        )
        for members, alignment in zip(whole, found, strict=True):
            settled[members[0]] = SILENT if alignment is None else _told(alignment)
        return settled


class Aligned:
    """The whole alignment stands with the first piece."""

    def row(self, pieces: Sequence[Piece], making: Making) -> Row:
        """Words as in a transcript, the text's CTC loss, and how text and audio match."""
        first = pieces[0]
        if first.alignment is None:
            return {"status": EMPTY, "text": "", "segments": []}
        texts = Texts().row([first._replace(core=(0, pieces[-1].total + 1))], making)
        found = {name: value for name, value in first.alignment.items() if name != "loss"}
        return {**texts, "status": OK, "ctc_loss": first.alignment["loss"], "alignment": found}


def verdict(alignment: Alignment) -> str:
    """How a text and its audio match, in a word or two."""
    if not alignment.fits:
        return "no room"
    if alignment.expected > LONGER * alignment.heard + FEW:
        return "text is longer"
    return "text is shorter" if alignment.coverage < SHORTER else "fits"


def _recordings(owners: Sequence[Row]) -> list[list[int]]:
    """Places of the pieces of each recording and channel that has a first piece, in their order."""
    members: dict[tuple[object, ...], list[int]] = {}
    for i, owner in enumerate(owners):
        if owner["ordinal"] is not None:
            members.setdefault((owner["shard"], owner["ordinal"], owner["channel"]), []).append(i)
    ordered = [sorted(group, key=lambda i: int(str(owners[i]["index"]))) for group in members.values()]
    return [group for group in ordered if owners[group[0]]["index"] == 0]


def _recording(owners: Sequence[Row], heard: Sequence[Fields | Refused], members: Sequence[int]) -> Heard:
    parts = [part for i in members if (part := _part(owners[i], heard[i])) is not None]
    return Heard(parts, str(owners[members[0]]["reference"]), int(str(owners[members[-1]]["total"])))


def _part(owner: Row, heard: Fields | Refused) -> Part | None:
    scores, quiet = (None, None) if isinstance(heard, Refused) else (heard.get(SCORES), heard.get(QUIET))
    if not isinstance(scores, torch.Tensor) or not isinstance(quiet, np.ndarray):
        return None
    return Part(scores, place(owner)[0], core(owner), quiet)


def _aligned(model: SpeechModel, scribe: Scribe, recordings: Sequence[Heard]) -> list[Alignment | None]:
    """On the model's device, or on the CPU where that has no room left."""
    assert isinstance(model.head, CtcHead)
    blank = model.head.config.pad_token_id
    try:
        return align_recordings(recordings, scribe, blank)
    except torch.OutOfMemoryError:
        return align_recordings([on_cpu(each) for each in recordings], scribe, blank)


def _told(found: Alignment) -> Fields:
    words = [
        {
            "word": word.text,
            "start": word.start,
            "end": word.end,
            "confidence": word.score,
            "aligned": word.aligned,
            "missing": word.missing or None,
        }
        for word in found.words
    ]
    told = {
        "verdict": verdict(found),
        "loss": found.loss,
        "heard": found.heard,
        "expected": found.expected,
        "coverage": found.coverage,
        "exact": found.exact,
    }
    text = " ".join(word.text for word in found.words)
    return {**SILENT, "text": text, "words": words, "alignment": told}
