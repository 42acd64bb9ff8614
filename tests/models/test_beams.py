"""Only the best pieces of a vocabulary are sorted, and nothing is lost by it."""

import pytest
import torch

from models.beams import COLUMNS, _largest


@pytest.mark.parametrize("size", [60, COLUMNS, 3_001, 10_000, 40 * COLUMNS])
@pytest.mark.parametrize("count", [2, 8, 10, 20])
def test_the_largest_are_those_of_a_full_sort(size: int, count: int) -> None:
    rows = torch.randn(3, 5, size, generator=torch.Generator().manual_seed(size + count))
    rows[0, 0, size - 3 :] += 10  # what lies beyond the last whole piece
    rows[1, 1, : COLUMNS // 2] += 10  # and many in one piece
    best, places = _largest(rows, count)
    expected = rows.topk(count)
    torch.testing.assert_close(best, expected.values)
    assert places.tolist() == expected.indices.tolist()
