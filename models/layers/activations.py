"""The activations that published configurations name."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Activation = Callable[[Tensor], Tensor]


def gelu(x: Tensor) -> Tensor:
    """Exact gelu; in place where no gradient needs the input, which saves a pass over memory."""
    if x.requires_grad:
        return F.gelu(x)
    return torch.ops.aten.gelu_.default(x)


def gelu_tanh(x: Tensor) -> Tensor:
    """Gelu by its tanh approximation."""
    return F.gelu(x, approximate="tanh")


def gelu_clipped(x: Tensor) -> Tensor:
    """Gelu held inside [-10, 10]."""
    return F.gelu(x).clamp(-10, 10)


def laplace(x: Tensor) -> Tensor:
    """A normal distribution's share below x, with the constants of the MEGA paper."""
    return 0.5 * (1 + torch.erf((x - 0.707107) / (0.282095 * math.sqrt(2.0))))


def linear(x: Tensor) -> Tensor:
    """Nothing. A named function, because models are pickled."""
    return x


def quick_gelu(x: Tensor) -> Tensor:
    """Gelu by a sigmoid."""
    return x * torch.sigmoid(1.702 * x)


def relu_squared(x: Tensor) -> Tensor:
    """The square of relu."""
    return F.relu(x).square()


def silu(x: Tensor) -> Tensor:
    """Swish; in place where no gradient needs the input."""
    if x.requires_grad:
        return F.silu(x)
    return F.silu(x, inplace=True)


ACTIVATIONS: dict[str, Activation] = {
    "gelu": gelu,
    "gelu_python": gelu,
    "gelu_10": gelu_clipped,
    "gelu_new": gelu_tanh,
    "gelu_fast": gelu_tanh,
    "gelu_accurate": gelu_tanh,
    "gelu_python_tanh": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "quick_gelu": quick_gelu,
    "relu": F.relu,
    "relu2": relu_squared,
    "relu6": F.relu6,
    "hardswish": F.hardswish,
    "leaky_relu": F.leaky_relu,
    "selu": F.selu,
    "silu": silu,
    "swish": silu,
    "mish": F.mish,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "laplace": laplace,
    "linear": linear,
}
"""By published name; a name that is not here is refused when a checkpoint is read."""
