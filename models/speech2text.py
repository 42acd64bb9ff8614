"""Speech2Text: an encoder of filter-bank frames and a decoder that writes (arXiv 2010.05171).

Two gated convolutions keep every fourth frame. Places are waves; they count from one past the padding id, an oddity
of the published code that makes a padding id of 0 hide the encoder's places altogether.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.config import Json, at_least, choice, read, refuse, require_sound
from models.encoder import Design
from models.layers.activations import ACTIVATIONS
from models.layers.attention import SelfAttention
from models.layers.convolution import ConvShape, StridedConvolution
from models.layers.feed_forward import FeedForward
from models.layers.packing import Packed
from models.layers.positions import Sinusoids
from models.weights import Fused, Row, Taps, same

STRIDE = 2
"""Of every convolution, as published: no field states it."""


@dataclass(frozen=True)
class Speech2TextConfig:
    """A published Speech2Text configuration."""

    vocab_size: int = 10_000
    """Tokens."""
    d_model: int = 256
    """Width of a frame and of a token."""
    encoder_layers: int = 12
    """Layers that read."""
    encoder_ffn_dim: int = 2048
    """Width inside their feed-forwards."""
    encoder_attention_heads: int = 4
    """Their heads."""
    decoder_layers: int = 6
    """Layers that write."""
    decoder_ffn_dim: int = 2048
    """Width inside their feed-forwards."""
    decoder_attention_heads: int = 4
    """Their heads."""
    activation_function: str = choice("relu", ACTIVATIONS)
    """The feed-forwards' activation."""
    scale_embedding: bool = True
    """Whether frames and tokens are multiplied by the root of their width before places are added."""
    max_source_positions: int = 6_000
    """Feature frames of a clip, at most: a longer one is refused."""
    max_target_positions: int = 1_024
    """Tokens of a text, at most."""
    num_conv_layers: int = 2
    """Convolutions, each of which halves the frames."""
    conv_kernel_sizes: tuple[int, ...] = (5, 5)
    """Frames that each convolution sees."""
    conv_channels: int = 1_024
    """Channels of each convolution but the last, before its gate halves them."""
    input_feat_per_channel: int = 80
    """Bands of the features."""
    input_channels: int = 1
    """Sets of such bands, side by side."""
    tie_word_embeddings: bool = True
    """Whether the product that scores tokens is the table that embeds them."""
    pad_token_id: int = at_least(0, 1)
    """Places count from one past it."""
    decoder_start_token_id: int = at_least(0, 2)
    """The token that every text begins with."""

    @property
    def shape(self) -> ConvShape:
        """The convolutions' sizes."""
        count = len(self.conv_kernel_sizes)
        channels = (self.conv_channels // 2,) * (count - 1) + (self.d_model,)
        pads = tuple(kernel // 2 for kernel in self.conv_kernel_sizes)
        return ConvShape(channels, self.conv_kernel_sizes, (STRIDE,) * count, pads)

    def flaws(self) -> list[str]:
        """Values that contradict one another."""
        width, size = self.d_model, self.vocab_size
        heads = ("encoder_attention_heads", "decoder_attention_heads")
        ids = ("pad_token_id", "decoder_start_token_id")
        flaws = [f"d_model {width} is no multiple of {field}" for field in heads if width % getattr(self, field)]
        flaws += [
            f"{field} {getattr(self, field)} is not below vocab_size {size}"
            for field in ids
            if getattr(self, field) >= size
        ]
        if width < 4:
            flaws.append(f"d_model {width} has no room for waves; at least 4 is needed")
        if len(self.conv_kernel_sizes) != self.num_conv_layers:
            flaws.append(f"conv_kernel_sizes must have num_conv_layers {self.num_conv_layers} values")
        if self.conv_channels % 2 and self.num_conv_layers > 1:
            flaws.append(f"conv_channels {self.conv_channels} is odd; a gate halves them")
        return flaws


class GatedConvolution(nn.Module):
    """Every second frame, from a convolution whose one half gates the other; zeros beyond a clip's ends."""

    def __init__(self, inward: int, outward: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.convolve = StridedConvolution(inward, 2 * outward, kernel, STRIDE, bias=True)

    def forward(self, x: Packed) -> Packed:
        """(frames, inward) -> (half as many frames, outward)."""
        frames = [halved(length, self.kernel) for length in x.lengths]
        rooms = [self._room(length) for length in x.lengths]
        convolved = self.convolve(self._tape(x, rooms))
        kept = [clip[:count] for clip, count in zip(_halves(convolved, rooms), frames, strict=True)]
        return Packed(F.glu(torch.cat(kept), -1), tuple(frames))

    def _room(self, frames: int) -> int:
        """Frames that a clip takes on the tape with its zeros: an even number, so that every clip is cut alike."""
        return -(-(frames + 2 * (self.kernel // 2)) // STRIDE) * STRIDE

    def _tape(self, x: Packed, rooms: Sequence[int]) -> Tensor:
        """Clips end to end, each in zeros of its own: one convolution reads them all."""
        before = self.kernel // 2
        clips = zip(x.clips(), rooms, strict=True)
        padded = [F.pad(clip, (0, 0, before, room - before - len(clip))) for clip, room in clips]
        return torch.cat([*padded, x.values.new_zeros(self.kernel, x.values.shape[1])])


def halved(frames: int, kernel: int) -> int:
    """Frames after a convolution."""
    return (frames + 2 * (kernel // 2) - kernel) // STRIDE + 1 if frames else 0


def _halves(convolved: Tensor, rooms: Sequence[int]) -> Sequence[Tensor]:
    outputs = [room // STRIDE for room in rooms]
    return convolved[: sum(outputs)].split(outputs)


class EncoderLayer(nn.Module):
    """A norm before attention and before the feed-forward."""

    def __init__(self, config: Speech2TextConfig) -> None:
        super().__init__()
        width = config.d_model
        self.norm_attention = nn.LayerNorm(width)
        self.attention = SelfAttention(width, config.encoder_attention_heads)
        self.norm_feed_forward = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, config.encoder_ffn_dim, config.activation_function)

    def forward(self, x: Packed) -> Packed:
        """(frames, width) -> (frames, width)."""
        y = x.values + self.attention(x.of(self.norm_attention(x.values)))
        return x.of(y + self.feed_forward(self.norm_feed_forward(y)))


class Speech2TextEncoder(nn.Module):
    """Filter-bank frames to hidden frames."""

    squeeze = 1

    def __init__(self, config: Speech2TextConfig) -> None:
        super().__init__()
        self.shape, self.width, self.depth = config.shape, config.d_model, config.encoder_layers
        self.longest: int | None = config.max_source_positions
        inward = (config.input_feat_per_channel * config.input_channels, *self.shape.channels)
        sizes = zip(inward, self.shape.channels, self.shape.kernels, strict=False)
        self.convolutions = nn.ModuleList(GatedConvolution(*size) for size in sizes)
        self.scale = self.width**0.5 if config.scale_embedding else 1.0
        self.first = config.pad_token_id + 1 if config.pad_token_id else None
        self.places = Sinusoids(self.width, config.pad_token_id)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.norm_last = nn.LayerNorm(self.width)

    def frames(self, features: int) -> int:
        """Frames of a clip."""
        for kernel in self.shape.kernels:
            features = halved(features, kernel)
        return features

    def extract(self, mels: Tensor, lengths: Sequence[int]) -> Packed:
        """(clips, feature frames, mels) -> every fourth frame."""
        rows = zip(mels.to(self.norm_last.weight.dtype), lengths, strict=True)
        x = Packed(torch.cat([row[:frames] for row, frames in rows]), tuple(lengths))
        for convolution in self.convolutions:
            x = convolution(x)
        return x

    def embed(self, features: Packed) -> Packed:
        """Features -> what the first layer reads."""
        x = self.scale * features.values
        if self.first is None:
            return features.of(x)
        return features.of(x + self.places(self.first + features.positions()).to(x.dtype))

    def states(self, x: Packed) -> Iterator[Packed]:
        """What the first layer reads, then what each layer returns; the last one normalised, as published."""
        yield x
        for layer in self.layers[:-1]:
            x = layer(x)
            yield x
        yield x.of(self.norm_last(self.layers[-1](x).values))

    def finish(self, last: Packed, features: Packed) -> Packed:
        """The last state is what the decoder reads."""
        return last

    def prepare(self) -> None:
        """Nothing follows from the weights alone."""


def read_speech2text(published: Json) -> tuple[Speech2TextConfig, list[str]]:
    """The configuration and what is wrong with it; contradictions are raised."""
    config, problems = read(Speech2TextConfig(), published)
    problems += refuse(published, {"is_encoder_decoder": True})
    require_sound(problems, config)
    return config, problems


def design(published: Json) -> Design:
    """The encoder that a configuration describes, without weights."""
    config, problems = read_speech2text(published)
    return Design(
        Speech2TextEncoder(config),
        layers=config.encoder_layers,
        features=config.d_model,
        rows=tuple(_encoder_rows(config)),
        unused={},
        problems=tuple(problems),
    )


def _encoder_rows(config: Speech2TextConfig) -> list[Row]:
    layer = "encoder.layers.{}."
    attention = tuple(f"{layer}self_attn.{part}_proj" for part in ("q", "k", "v"))
    convolutions = [
        Row(f"convolutions.{i}.convolve", (f"encoder.conv.conv_layers.{i}",), Taps(kernel))
        for i, kernel in enumerate(config.conv_kernel_sizes)
    ]
    return [
        *convolutions,
        same("norm_last", "encoder.layer_norm"),
        same("layers.{}.norm_attention", layer + "self_attn_layer_norm"),
        Row("layers.{}.attention.inward", attention, Fused(3)),
        same("layers.{}.attention.outward", layer + "self_attn.out_proj"),
        same("layers.{}.norm_feed_forward", layer + "final_layer_norm"),
        same("layers.{}.feed_forward.widen", layer + "fc1"),
        same("layers.{}.feed_forward.narrow", layer + "fc2"),
    ]


def decoder_rows(prefix: str) -> list[Row]:
    """The decoder's lines of the weight table, for a head that calls it `decoder`."""
    ours, layer = "head.decoder.layers.{}.", prefix + "decoder.layers.{}."
    back = tuple(f"{layer}self_attn.{part}_proj" for part in ("q", "k", "v"))
    memory = tuple(f"{layer}encoder_attn.{part}_proj" for part in ("k", "v"))
    return [
        same("head.decoder.embed", prefix + "decoder.embed_tokens"),
        same("head.decoder.norm_last", prefix + "decoder.layer_norm"),
        same(ours + "norm_back", layer + "self_attn_layer_norm"),
        Row(ours + "back.inward", back, Fused(3)),
        same(ours + "back.outward", layer + "self_attn.out_proj"),
        same(ours + "norm_across", layer + "encoder_attn_layer_norm"),
        same(ours + "across.query", layer + "encoder_attn.q_proj"),
        Row(ours + "across.memory", memory, Fused(2)),
        same(ours + "across.outward", layer + "encoder_attn.out_proj"),
        same(ours + "norm_feed_forward", layer + "final_layer_norm"),
        same(ours + "feed_forward.widen", layer + "fc1"),
        same(ours + "feed_forward.narrow", layer + "fc2"),
        same("head.project", "lm_head"),
    ]
