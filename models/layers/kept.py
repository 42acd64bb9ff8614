"""When something that was computed from weights still belongs to them."""

from collections.abc import Iterable

from torch import Tensor

Stamp = tuple[tuple[object, ...], ...]


def stamp(weights: Iterable[Tensor]) -> Stamp:
    """Equal as long as no weight was replaced, moved, converted or written to; behind `.data`, nobody sees that."""
    return tuple((w.data_ptr(), 0 if w.is_inference() else w._version, w.dtype, w.device) for w in weights)
