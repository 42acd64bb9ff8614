"""Speech as silero hears it: a cut lies where it hears none, and silence around speech is not passed on.

The weights are read from the silero-vad package's files. The package itself is not imported: that would set torch to
one thread in the whole process.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
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


class SileroNetwork(nn.Module):
    """Spectrum, four convolutions over the 4 steps of a frame, and an LSTM from frame to frame."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm = nn.LSTM(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, frames: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(frames, BEFORE + FRAME) -> the probability of speech in each, and the state after them."""
        x = F.pad(frames, (0, AFTER), mode="reflect")[:, None]
        x = self.stft_conv(x)
        x = (x[:, :129].square() + x[:, 129:].square()).sqrt()  # (frames, frequencies, steps)
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = convolution(x).relu()
        x, state = self.lstm(x.squeeze(-1), state)
        return self.final_conv(x.relu()[..., None]).sigmoid().flatten(), state


@cache
def network() -> SileroNetwork:
    """The published weights."""
    spec = find_spec("silero_vad")
    if spec is None or spec.origin is None:
        raise ValueError(
            "cut is 'silero', and the package silero-vad is not installed: pip install 'stenopool[silero]'"
        )
    weights = load_file(Path(spec.origin).parent / "data" / "silero_vad_16k.safetensors")
    renamed = {name.replace("lstm_cell.", "lstm.").replace("_ih", "_ih_l0").replace("_hh", "_hh_l0"): tensor
               for name, tensor in weights.items()}  # fmt: skip
    made = SileroNetwork()
    made.load_state_dict(renamed)
    return made.eval().requires_grad_(requires_grad=False)


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
