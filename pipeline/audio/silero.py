"""Speech as silero hears it: a cut lies where it hears none, and silence around speech is not passed on.

The weights are read from the silero-vad package's files. The package itself is not imported: that would set torch to
one thread in the whole process.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.audio.cutting import Levels
from pipeline.schema import Samples

FRAME, BEFORE, AFTER = 512, 64, 64
"""Samples of a frame; of the last frame that it hears again; and of its own end, mirrored."""
BLOCK = 128
"""Frames that are heard at once. Always as many, so that a stream sounds the same however it is chunked."""
SPEECH = 0.5
"""The probability from which a frame is speech."""
PAD = 8
"""Frames around speech that are passed on with it: a quarter of a second."""


State = tuple[Tensor, Tensor]
"""What the LSTM remembers."""


class SileroNetwork(nn.Module):
    """Spectrum, four convolutions over the 4 steps of a frame, and an LSTM from frame to frame."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrum = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, 3, stride=stride, padding=1)
            for before, after, stride in ((129, 128, 1), (128, 64, 2), (64, 64, 2), (64, 128, 1))
        )
        self.lstm = nn.LSTM(128, 128)
        self.speech = nn.Conv1d(128, 1, 1)

    def forward(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """(frames, BEFORE + FRAME) -> the probability of speech in each, and the state after them."""
        x = F.pad(frames, (0, AFTER), mode="reflect")[:, None]
        x = self.spectrum(x)
        x = (x[:, :129].square() + x[:, 129:].square()).sqrt()  # (frames, frequencies, steps)
        for convolution in self.convolutions:
            x = convolution(x).relu()
        x, state = self.lstm(x.squeeze(-1), state)
        return self.speech(x.relu()[..., None]).sigmoid().flatten(), state


RENAMED = (
    (re.compile(r"^_model\.stft\.forward_basis_buffer"), "spectrum.weight"),
    (re.compile(r"^_model\.encoder\.(\d)\.reparam_conv"), r"convolutions.\1"),
    (re.compile(r"^_model\.decoder\.rnn\.(\w+)"), r"lstm.\1_l0"),
    (re.compile(r"^_model\.decoder\.decoder\.2"), "speech"),
)


@cache
def network() -> SileroNetwork:
    """The published network for 16 kHz, in plain torch: a batch of frames is convolved at once."""
    spec = find_spec("silero_vad")
    if spec is None or spec.origin is None:
        raise ValueError("the package silero-vad is not installed: pip install -e '.[silero]' in the project's folder")
    published = torch.jit.load(Path(spec.origin).parent / "data" / "silero_vad.jit", map_location="cpu")
    made = SileroNetwork()
    made.load_state_dict(_renamed(published.state_dict()))
    return made.eval().requires_grad_(requires_grad=False)


def _renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published names, of which `_model_8k` is left out, as ours."""
    ours = {}
    for name, tensor in weights.items():
        if name.startswith("_model."):
            for theirs, our in RENAMED:
                name = theirs.sub(our, name)  # noqa: PLW2901 each rule works on what the others left
            ours[name] = tensor
    return ours


class Speech:
    """A meter of speech: the probability of each frame, in tenths."""

    frame = FRAME

    def __init__(self) -> None:
        self._network = network()
        self._rest = np.zeros(BEFORE, np.float32)
        self._state = (torch.zeros(1, 128), torch.zeros(1, 128))

    def push(self, samples: Samples) -> Levels:
        held = np.concatenate([self._rest, samples])
        blocks = (len(held) - BEFORE) // (BLOCK * FRAME)
        self._rest = held[blocks * BLOCK * FRAME :]
        heard = [self._hear(held[at * BLOCK * FRAME :], BLOCK) for at in range(blocks)]
        return np.concatenate([np.zeros(0, np.float32), *heard])

    def flush(self) -> Levels:
        frames = -(-(len(self._rest) - BEFORE) // FRAME)
        missing = BEFORE + frames * FRAME - len(self._rest)
        return self._hear(np.pad(self._rest, (0, missing)), frames) if frames else np.zeros(0, np.float32)

    def heard(self, levels: Levels) -> slice:
        """From the first frame of speech to the last, and a little more."""
        speech = np.flatnonzero(levels >= SPEECH)
        return slice(max(0, speech[0] - PAD), min(len(levels), speech[-1] + 1 + PAD)) if len(speech) else slice(0, 0)

    @torch.inference_mode()
    def _hear(self, samples: Samples, frames: int) -> Levels:
        """`samples` begin with the end of what was heard before."""
        windows = torch.from_numpy(samples[: BEFORE + frames * FRAME]).unfold(0, BEFORE + FRAME, FRAME)
        probabilities, self._state = self._network(windows, self._state)
        return np.round(probabilities.numpy(), 1)
