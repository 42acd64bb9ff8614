"""Attention that learns to choose among ten minutes, from recordings of seconds.

A softmax over more frames is more even, so that what is sharp in a piece is blurred in the whole. Here frames that are
far count as if they were there many times.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F

from models.layers import attention

NEAR = 125
"""Frames on both sides of each that count once."""
LONGEST = 600.0
"""Seconds that a recording may seem to last."""


@contextmanager
def crowded(seconds: float, chance: float) -> Iterator[None]:
    """For recordings that last so long: by chance, from 0 to 1, they seem to last up to `LONGEST`."""
    times = max(1.0, LONGEST / seconds) ** chance

    def attend(heads: Tensor, lengths: Sequence[int]) -> Tensor:
        query, key, value = heads.unflatten(0, (len(lengths), lengths[0])).permute(2, 0, 3, 1, 4)
        at = torch.arange(lengths[0])
        crowd = math.log(times) * ((at[:, None] - at).abs() > NEAR).float()
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=crowd)
        return seen.transpose(1, 2).flatten(2).flatten(0, 1)

    with patch.object(attention, "attend", attend):
        yield
