"""How a published checkpoint's tensors become ours, as a table that reads both ways.

A row names one of our modules and the published modules it is made of; its form says how their parameters turn into
ours and back. Backwards gives the names and shapes that a checkpoint must have, so they are never written twice.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]

BATCH_NORM_EPSILON = 1e-5


class Form(Protocol):
    """One of our modules against the published modules it is made of; parameters by their own last name."""

    def fill(self, published: Sequence[Tensors]) -> Tensors:
        """Our parameters from the published ones."""
        ...

    def publish(self, ours: Tensors) -> Sequence[Tensors]:
        """The published parameters from ours."""
        ...


class Same:
    """Nothing changes but the name."""

    def fill(self, published: Sequence[Tensors]) -> Tensors:
        return published[0]

    def publish(self, ours: Tensors) -> Sequence[Tensors]:
        return [ours]


@dataclass(frozen=True)
class Fused:
    """Several products of one input, stacked into one."""

    parts: int

    def fill(self, published: Sequence[Tensors]) -> Tensors:
        return {name: torch.cat([part[name] for part in published]) for name in published[0]}

    def publish(self, ours: Tensors) -> Sequence[Tensors]:
        pieces = {name: tensor.chunk(self.parts) for name, tensor in ours.items()}
        return [{name: chunks[i] for name, chunks in pieces.items()} for i in range(self.parts)]


@dataclass(frozen=True)
class Taps:
    """A convolution kernel (out, in, taps) as rows of samples in memory order (out, taps * in)."""

    taps: int

    def fill(self, published: Sequence[Tensors]) -> Tensors:
        return dict(published[0]) | {"weight": published[0]["weight"].transpose(1, 2).flatten(1)}

    def publish(self, ours: Tensors) -> Sequence[Tensors]:
        return [dict(ours) | {"weight": ours["weight"].unflatten(1, (self.taps, -1)).transpose(1, 2)}]


class WeightNorm:
    """A kernel stored as direction and length per tap; we keep the product."""

    DIRECTION, LENGTH = "parametrizations.weight.original1", "parametrizations.weight.original0"

    def fill(self, published: Sequence[Tensors]) -> Tensors:
        direction, length = published[0][self.DIRECTION], published[0][self.LENGTH]
        weight = direction * (length / direction.norm(dim=(0, 1), keepdim=True))
        return {"weight": weight, "bias": published[0]["bias"]}

    def publish(self, ours: Tensors) -> Sequence[Tensors]:
        weight = ours["weight"]
        # without values there is only a shape; a norm of nothing would load torch's compiler
        length = weight[:1, :1] if weight.is_meta else weight.norm(dim=(0, 1), keepdim=True)
        return [{self.LENGTH: length, self.DIRECTION: weight, "bias": ours["bias"]}]


class BatchNorm:
    """A batch norm at rest is a scale and a shift."""

    def fill(self, published: Sequence[Tensors]) -> Tensors:
        scale, shift = _at_rest(published[0])
        return {"scale": scale, "shift": shift}

    def publish(self, ours: Tensors) -> Sequence[Tensors]:
        return [_unfolded(ours["scale"], ours["shift"])]


class NormedDepthwise:
    """A depthwise convolution (channels, 1, taps) followed by a batch norm, as one convolution.

    Read by rows, so that a tap is a row: (taps, channels).
    """

    def __init__(self, *, bias: bool) -> None:
        self.bias = bias

    def fill(self, published: Sequence[Tensors]) -> Tensors:
        scale, shift = _at_rest(published[1])
        kernel, bias = published[0]["weight"], published[0].get("bias")
        weight = (kernel * scale[:, None, None])[:, 0].T.contiguous()
        return {"weight": weight, "bias": shift if bias is None else shift + scale * bias}

    def publish(self, ours: Tensors) -> Sequence[Tensors]:
        kernel = {"weight": ours["weight"].T[:, None]}
        if self.bias:
            kernel["bias"] = ours["bias"].new_zeros(ours["bias"].shape)
        return [kernel, _unfolded(ours["bias"].new_ones(ours["bias"].shape), ours["bias"])]


class Pointwise:
    """A convolution over one frame (out, in, 1) is a product."""

    def fill(self, published: Sequence[Tensors]) -> Tensors:
        return dict(published[0]) | {"weight": published[0]["weight"][..., 0]}

    def publish(self, ours: Tensors) -> Sequence[Tensors]:
        return [dict(ours) | {"weight": ours["weight"][..., None]}]


@dataclass(frozen=True)
class Row:
    """One line of the table; `{}` stands for a layer's number."""

    ours: str
    published: tuple[str, ...]
    form: Form

    def layer(self, module: str) -> str | None:
        """The layer's number in one of our modules' names: "" for none, None for another module."""
        match = re.fullmatch(re.escape(self.ours).replace(r"\{\}", r"(\d+)"), module)
        return None if match is None else "".join(match.groups())

    def names(self, layer: str) -> list[str]:
        """The published modules for that layer."""
        return [name.replace("{}", layer) for name in self.published]


def same(ours: str, published: str) -> Row:
    """A row that only renames."""
    return Row(ours, (published,), Same())


@dataclass(frozen=True)
class WeightMap:
    """The table of one model."""

    rows: tuple[Row, ...]
    unused: Mapping[str, tuple[int, ...]]
    """Published tensors that inference does not read, with their shapes; a checkpoint may leave them out."""

    def publish(self, state: Tensors) -> dict[str, Tensor]:
        """Our parameters under their published names."""
        tensors: dict[str, Tensor] = {}
        for module, parameters in _by_module(state).items():
            row, layer = self._row(module)
            for name, part in zip(row.names(layer), row.form.publish(parameters), strict=True):
                tensors |= {_joined(name, last): tensor for last, tensor in part.items()}
        return tensors

    def fill(self, state: Tensors, published: Tensors) -> dict[str, Tensor]:
        """Published tensors as our parameters, in float32; `state` says which there are.

        Copied, because a tensor as it is read may still be the file on disk, which may change under a running job.
        """
        filled: dict[str, Tensor] = {}
        for module, parameters in _by_module(state).items():
            row, layer = self._row(module)
            parts = zip(row.names(layer), row.form.publish(parameters), strict=True)
            taken = [
                {last: published[_joined(name, last)].to(torch.float32, copy=True) for last in part}
                for name, part in parts
            ]
            filled |= {_joined(module, last): tensor for last, tensor in row.form.fill(taken).items()}
        return filled

    def _row(self, module: str) -> tuple[Row, str]:
        for row in self.rows:
            layer = row.layer(module)
            if layer is not None:
                return row, layer
        raise LookupError(f"no row of the weight table names {module!r}")


def _by_module(state: Tensors) -> dict[str, dict[str, Tensor]]:
    modules: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        module, _, last = name.rpartition(".")
        modules.setdefault(module, {})[last] = tensor
    return modules


def _joined(module: str, last: str) -> str:
    return f"{module}.{last}" if module else last


def _at_rest(norm: Tensors) -> tuple[Tensor, Tensor]:
    scale = norm["weight"] / (norm["running_var"] + BATCH_NORM_EPSILON).sqrt()
    return scale, norm["bias"] - norm["running_mean"] * scale


def _unfolded(scale: Tensor, shift: Tensor) -> dict[str, Tensor]:
    return {
        "weight": scale,
        "bias": shift,
        "running_mean": scale.new_zeros(scale.shape),
        "running_var": scale.new_full(scale.shape, 1 - BATCH_NORM_EPSILON),
        "num_batches_tracked": torch.zeros((), dtype=torch.long, device=scale.device),
    }
