"""Clips laid end to end, without padding.

Everything that treats frames one by one (norms, products, activations) runs on one tall matrix, so work is
proportional to real frames and no clip can see another. Only what mixes frames needs to know where clips end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


def fills(device: torch.device) -> bool:
    """Whether one clip fills the device, so that ragged clips go one by one instead of padded together."""
    return device.type == "cpu"


@dataclass(frozen=True)
class Packed:
    """The frames of several clips."""

    values: Tensor
    """(frames of all clips, width)"""
    lengths: tuple[int, ...]
    """Frames of each clip; none is zero."""

    @property
    def uniform(self) -> bool:
        """Whether all clips are equally long, so that a reshape makes a batch of them."""
        return len(set(self.lengths)) == 1

    def of(self, values: Tensor) -> "Packed":
        """Other values for the same frames."""
        return Packed(values, self.lengths)

    def clips(self) -> tuple[Tensor, ...]:
        """One (frames, width) view per clip."""
        return self.values.split(self.lengths) if self.lengths else ()

    def padded(self) -> Tensor:
        """(clips, longest, width) with zeros after each clip's end."""
        if self.uniform:
            return self.values.unflatten(0, (len(self.lengths), self.lengths[0]))
        return torch.nn.utils.rnn.pad_sequence(list(self.clips()), batch_first=True)

    def through(self, mix: Callable[[Tensor], Tensor]) -> "Packed":
        """Apply an operation on (clips, frames, width) that reads zeros beyond a clip's ends and keeps frames."""
        if self.uniform:
            return self.of(mix(self.padded()).flatten(0, 1))
        if fills(self.values.device):
            return self.of(torch.cat([mix(clip[None])[0] for clip in self.clips()]))
        return self.of(unpad(mix(self.padded()), self.lengths))

    def positions(self) -> Tensor:
        """Each frame's place in its clip: (frames,)."""
        device = self.values.device
        return torch.cat([torch.arange(frames, device=device) for frames in self.lengths])

    def means(self) -> Tensor:
        """The mean over each clip's frames: (clips, width)."""
        if self.uniform:
            return self.padded().mean(1)
        return torch.stack([clip.mean(0) for clip in self.clips()])


def unpad(padded: Tensor, lengths: Sequence[int]) -> Tensor:
    """The real frames of a (clips, longest, width) tensor, end to end."""
    return torch.cat([clip[:frames] for clip, frames in zip(padded, lengths, strict=True)])
