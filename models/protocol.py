"""The values that pass through a model's public door.

Every tensor that leaves `SpeechModel` is padded; `lengths` says how much of each clip is real.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.language_model import LanguageModel

Samples = npt.NDArray[np.generic] | Tensor
"""One clip: 1-D samples at the model's rate, floats in [-1, 1] or integers at full scale."""

Labels = Tensor | Sequence[Sequence[int]] | Sequence[int] | Sequence[float]
"""What `loss` compares with: token ids per clip (CTC, decoders) or one class, value or row of flags per clip."""


@dataclass(frozen=True)
class Padded:
    """Front-end output for a list of clips."""

    inputs: Tensor
    """(clips, samples) waveforms or (clips, frames, mels) features, zeros after each clip's end."""
    lengths: Tensor
    """(clips,) valid samples or frames, on the CPU; 0 for a clip that was refused."""
    refusals: tuple[str | None, ...]
    """Why a clip was refused (a sample that is not a number), or None."""


@dataclass(frozen=True)
class FrameLogits:
    """A CTC head's output."""

    logits: Tensor
    """(clips, frames, classes), zeros after each clip's end."""
    lengths: Tensor
    """(clips,) valid frames, on the CPU."""


@dataclass(frozen=True)
class ClipLogits:
    """A sequence classifier's output."""

    logits: Tensor
    """(clips, classes), zeros for a clip without a frame."""
    lengths: Tensor
    """(clips,) valid frames, on the CPU."""


@dataclass(frozen=True)
class HiddenStates:
    """A bare encoder's output."""

    hidden: Tensor
    """(clips, frames, width), zeros after each clip's end."""
    lengths: Tensor
    """(clips,) valid frames, on the CPU."""


@dataclass(frozen=True)
class PretrainingStates:
    """UniSpeech's pre-training output."""

    projected: Tensor
    """(clips, frames, width): the transformer's states."""
    projected_quantized: Tensor
    """(clips, frames, width): the chosen code vectors, projected."""
    perplexity: Tensor
    """(clips,): how many codes each clip uses, summed over the codebooks."""
    codes: Tensor
    """(clips, frames, codebooks) discrete units; -1 after each clip's end."""
    lengths: Tensor
    """(clips,) valid frames, on the CPU."""


@dataclass(frozen=True)
class TokenLogits:
    """What a decoder says of each token's successor, with the tokens given."""

    logits: Tensor
    """(clips, tokens, vocabulary), zeros after each clip's tokens; a bare decoder's states instead."""
    lengths: Tensor
    """(clips,) valid tokens, on the CPU; 0 for a clip without a frame."""


Output = FrameLogits | ClipLogits | HiddenStates | PretrainingStates


@dataclass(frozen=True)
class LayerStates:
    """Every state of the encoder: what the first layer reads, then what each layer returns."""

    states: tuple[Tensor, ...]
    """Each (clips, frames, width), zeros after each clip's end."""
    lengths: Tensor
    """(clips,) valid frames at the layers' rate, on the CPU."""


@dataclass(frozen=True)
class Loss:
    """What a batch costs against its labels."""

    per_clip: Tensor
    """(clips,) unreduced: the negative log-likelihood of each clip's labels."""
    reduced: Tensor
    """One number, reduced as the checkpoint's configuration says."""


@dataclass(frozen=True)
class CtcSearch:
    """How a CTC head's frames become tokens.

    With all as it stands here, the best class of each frame. Otherwise readings are followed from frame to frame, each
    scored by all its paths, by what a language model thinks of its words, and by the hot words in it.
    """

    beam: int = 1
    """Readings kept from frame to frame; 1 is, where words do not count, the best class of each frame by definition."""
    language_model: LanguageModel | None = None
    """Knows which words follow which: see `load_language_model`."""
    language_weight: float = 0.5
    """What the language model's log-probabilities are multiplied by."""
    word_bonus: float = 0.0
    """Added for every word: a language model by itself likes few."""
    hotwords: tuple[str, ...] = ()
    """Words to expect."""
    hotword_boost: float = 5.0
    """Added for every hot word, and in part for the beginning of one."""
    n_best: int = 1
    """Readings to give back; those of a clip are at most as many as the beam."""
    classes: int = 64
    """Classes of each frame that a reading may grow by, the best ones. A vocabulary of letters has fewer."""
    temperature: float | None = None
    """What logits are divided by before posteriors are taken of them: above 1, words are the same and less sure. None
    is what the checkpoint's calibration.json says, or 1."""

    @property
    def greedy(self) -> bool:
        """Whether the best class of each frame is all that is asked for."""
        return self.beam == 1 and self.n_best == 1 and not self.heeds_words

    @property
    def heeds_words(self) -> bool:
        """Whether words count, so that a vocabulary is needed."""
        return self.language_model is not None or bool(self.hotwords) or self.word_bonus != 0

    def flaws(self) -> list[str]:
        """Values that make no sense."""
        counts = {"beam": self.beam, "n_best": self.n_best, "classes": self.classes}
        flaws = [f"{name} is {value}; at least 1 is needed" for name, value in counts.items() if value < 1]
        if self.n_best > self.beam:
            flaws.append(f"n_best is {self.n_best}, but beam keeps only {self.beam}")
        if self.temperature is not None and not 0 < self.temperature < float("inf"):
            flaws.append(f"temperature is {self.temperature}; a number above 0 is needed")
        return flaws


@dataclass(frozen=True)
class Generation:
    """How a decoder writes; None is what the checkpoint says."""

    beams: int | None = None
    """Readings kept from token to token; 1 takes the best token each time."""
    language: str | None = None
    """The language to write, for a checkpoint that has several."""
    length_penalty: float | None = None
    """A finished reading's score is divided by its length to this power: above zero, longer texts gain."""
    max_length: int | None = None
    """Tokens of a text, at most, the one that begins it among them."""
    no_repeat_ngram: int | None = None
    """So many tokens in a row occur once in a text; 0 for no such rule."""
    early_stopping: bool | str | None = None
    """True: done with as many finished texts as beams. False: when no reading is likely to become better.
    "never": when none can."""
    first: int | None = None
    """The id of the token that every text begins with; `language` sets it."""
    temperature: float | None = None
    """What logits are divided by before posteriors are taken of them: above 1, words are the same and less sure. It is
    not generation_config.json's, which is for drawing lots."""


Search = CtcSearch | Generation


@dataclass(frozen=True)
class Alternative:
    """One of the best readings of a clip."""

    ids: tuple[int, ...]
    score: float
    """Log-probability of all its paths, with what words added."""


@dataclass(frozen=True)
class Tokens:
    """A clip as the tokens that its frames spell."""

    ids: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int32]
    """First frame of each token."""
    ends: npt.NDArray[np.int32]
    """One past the last frame of each token."""
    scores: npt.NDArray[np.float32]
    """Mean posterior of each token over its frames, in [0, 1]."""
    alternatives: "tuple[Alternative, ...]" = ()
    """The best readings in order, the chosen one first; empty unless several were asked for."""
    quiet: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    """(stretches, 2) samples of the clip in which nothing is heard, as far as that is known."""


@dataclass(frozen=True)
class Scores:
    """A clip as one number per label; empty for a clip without a frame."""

    values: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Embedding:
    """A clip as the mean of its hidden states; empty for a clip without a frame."""

    vector: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Units:
    """A clip as discrete units."""

    codes: npt.NDArray[np.int32]
    """(frames, codebooks)"""


@dataclass(frozen=True)
class Refused:
    """A clip that cannot be read, and why. Its neighbours are not touched."""

    reason: str


Prediction = Tokens | Scores | Embedding | Units | Refused


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """True where a frame is real: (clips, frames)."""
    return torch.arange(frames, device=lengths.device) < lengths[:, None]
