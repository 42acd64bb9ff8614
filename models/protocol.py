"""The values that pass through a model's public door.

Every tensor that leaves `SpeechModel` is padded; `lengths` says how much of each clip is real.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Samples = npt.NDArray[np.generic] | Tensor
"""One clip: 1-D samples at the model's rate, floats in [-1, 1] or integers at full scale."""

Labels = Tensor | Sequence[Sequence[int]] | Sequence[int] | Sequence[float]
"""What `loss` compares with: token ids per clip (CTC) or one class, value or row of flags per clip."""


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
    """How a CTC head's frames become tokens."""

    beam: int = 1
    """Readings kept from frame to frame; 1 takes the best class of each frame."""


@dataclass(frozen=True)
class Generation:
    """How a decoder writes; None is what the checkpoint says."""

    beams: int | None = None
    """Readings kept from token to token."""
    language: str | None = None
    """The language to write, for a checkpoint that has several."""


Search = CtcSearch | Generation


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
