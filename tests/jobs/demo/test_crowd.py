"""A short recording among whose frames attention chooses as if it were long."""

import pytest
import torch

from jobs.demo.crowd import LONGEST, NEAR, crowded
from models.layers import attention

FRAMES, HEADS, WIDTH = 2 * NEAR + 50, 2, 8


def heads() -> torch.Tensor:
    return torch.randn(FRAMES, 3, HEADS, WIDTH, generator=torch.Generator().manual_seed(0))


def test_far_frames_count_as_if_they_were_there_so_many_times() -> None:
    with crowded(LONGEST / 3, chance=1.0):
        seen = attention.attend(heads(), [FRAMES])
    query, key, value = heads().unbind(1)
    for frame in (0, FRAMES // 2):
        times = [3 if abs(frame - other) > NEAR else 1 for other in range(FRAMES)]
        many = torch.repeat_interleave(torch.arange(FRAMES), torch.tensor(times))
        looks = torch.einsum("hw,fhw->hf", query[frame], key[many]) * WIDTH**-0.5
        expected = torch.einsum("hf,fhw->hw", looks.softmax(-1), value[many]).flatten()
        torch.testing.assert_close(seen[frame], expected)


@pytest.mark.parametrize(("seconds", "chance"), [(10.0, 0.0), (2 * LONGEST, 1.0)])
def test_without_a_crowd_attention_is_as_it_is(seconds: float, chance: float) -> None:
    with crowded(seconds, chance):
        seen = attention.attend(heads(), [FRAMES])
    torch.testing.assert_close(seen, attention.attend(heads(), [FRAMES]))
