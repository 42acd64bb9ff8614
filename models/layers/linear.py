"""Products with a weight, by the quicker of the two libraries that every PyTorch for x86 carries.

For float32 PyTorch calls MKL, which keeps to AVX2 on processors that are not Intel's: less than half of what AVX-512
gives, and a sixth below oneDNN where there is only AVX2. There, oneDNN multiplies by weights that are large enough to
be worth it. Both are float32 throughout.
"""

from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers.kept import Stamp, stamp

WORTH = 1 << 14
"""Numbers of a weight from which on oneDNN's way to a product is short beside it. How many rows there are has no say: a
row's product is the same to the last bit in any company, which two libraries' are not."""
MOST_ROWS, STEP = 512, 32
"""Rows of one of its products, and what they are filled up to a multiple of: it keeps code for every number of rows
that it has met, half a megabyte of it and more, between what else the process keeps."""
FEW, SHARE = 8, 8
"""The same of few rows: multiples of at least `FEW`, and of about one in `SHARE` of them."""


class Linear(nn.Linear):
    """A product and a bias."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., inward) -> (..., outward)."""
        return linear(x, self.weight, self.bias)


class FewRows(Linear):
    """A product of a few rows, again and again."""

    def __init__(self, inward: int, outward: int, *, bias: bool = True) -> None:
        super().__init__(inward, outward, bias=bias)
        self.laid = Laid()

    def forward(self, x: Tensor) -> Tensor:
        """(..., inward) -> (..., outward)."""
        return self.laid.linear(x, self.weight, self.bias)


class Laid:
    """A weight as oneDNN reads it, made when it is first needed: with few rows, that costs more than the product."""

    def __init__(self) -> None:
        self.weight: Tensor | None = None
        self.stamp: Stamp = ()

    def __reduce__(self) -> tuple[type["Laid"], tuple[()]]:
        """A copy, or a model on its way to another process, makes its own."""
        return Laid, ()

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """`x` times the weight's rows, and the bias added."""
        if weight.numel() < WORTH or not 0 < x.numel() <= MOST_ROWS * x.shape[-1] or not by_onednn(x, weight, bias):
            return linear(x, weight, bias)
        if self.weight is None or self.stamp != stamp([weight]):
            self.weight, self.stamp = torch.ops.mkldnn._reorder_linear_weight(weight, None), stamp([weight])
        rows = x.flatten(0, -2)
        return _even(rows, self.weight, bias, _step(len(rows))).unflatten(0, x.shape[:-1])


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x` times the weight's rows, and the bias added."""
    if weight.numel() < WORTH or not x.numel() or not by_onednn(x, weight, bias):
        return F.linear(x, weight, bias)
    products = [_even(part, weight, bias, STEP) for part in x.flatten(0, -2).split(MOST_ROWS)]
    return (products[0] if len(products) == 1 else torch.cat(products)).unflatten(0, x.shape[:-1])


def _step(rows: int) -> int:
    """What few rows are filled up to a multiple of, so that a text that grows meets few numbers of them."""
    return max(FEW, 1 << (rows // SHARE).bit_length())


def _even(rows: Tensor, weight: Tensor, bias: Tensor | None, step: int) -> Tensor:
    """The product of rows that are filled up with zeros."""
    missing = -len(rows) % step
    return _multiplied(F.pad(rows, (0, 0, 0, missing)) if missing else rows, weight, bias)[: len(rows)]


def _multiplied(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


def by_onednn(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    """Whether oneDNN multiplies them, if the weight is large; rows of `x` may then overlap in memory."""
    return (
        x.dtype == weight.dtype == torch.float32
        and x.stride(-1) == 1
        and weight.is_contiguous()  # it is very slow with any other
        and serves(x, weight, *(() if bias is None else (bias,)))
    )


def serves(*factors: Tensor) -> bool:
    """Whether products of these on this processor are better done by oneDNN: it has no gradients."""
    learns = torch.is_grad_enabled() and any(factor.requires_grad for factor in factors)
    return not learns and all(factor.device.type == "cpu" for factor in factors) and mkl_holds_back()


@cache
def mkl_holds_back() -> bool:
    """Whether MKL leaves much of this processor unused."""
    both = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
    return both and hasattr(torch.ops.mkldnn, "_linear_pointwise") and _maker() == "AuthenticAMD"


def _maker() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":")[1].strip() for line in lines if line.startswith("vendor_id")), "")
