"""What HuBERT and UniSpeech have in common: wav2vec 2.0's way from waveform to frames.

samples -> convolutions -> projection -> positional convolution -> transformer layers. Norms stand after each half of
a layer, or before it in models whose configuration says `do_stable_layer_norm`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.config import Json, StemConfig, at_least, choice
from models.layers.activations import ACTIVATIONS
from models.layers.attention import SelfAttention
from models.layers.convolution import STEMS
from models.layers.feed_forward import Adapter, FeedForward
from models.layers.linear import Linear
from models.layers.packing import Packed
from models.layers.positions import PositionalConvolution
from models.weights import Form, Fused, Row, Taps, same


@dataclass(frozen=True)
class TransformerConfig:
    """The layers between projection and head."""

    hidden_size: int = 768
    """Width of a frame."""
    num_hidden_layers: int = 12
    """Layers."""
    num_attention_heads: int = 12
    """Heads of each layer."""
    intermediate_size: int = 3072
    """Width inside the feed-forward."""
    hidden_act: str = choice("gelu", ACTIVATIONS)
    """The feed-forward's activation."""
    layer_norm_eps: float = 1e-5
    """Added to the variance in every norm but the convolutions'."""
    num_conv_pos_embeddings: int = 128
    """Frames that the positional convolution sees."""
    num_conv_pos_embedding_groups: int = 16
    """Its groups of channels."""
    do_stable_layer_norm: bool = False
    """Norm before attention and feed-forward, instead of after them."""
    adapter_attn_dim: int = at_least(0, 0)
    """Width of the adapter after each layer; 0 for none. Only layers with the norm before have one."""

    def flaws(self) -> list[str]:
        """Values that contradict one another."""
        flaws = []
        if self.hidden_size % self.num_attention_heads:
            flaws.append(f"hidden_size {self.hidden_size} is no multiple of num_attention_heads")
        if self.hidden_size % self.num_conv_pos_embedding_groups:
            flaws.append(f"hidden_size {self.hidden_size} is no multiple of num_conv_pos_embedding_groups")
        return flaws


class NormAfter(nn.Module):
    """A layer of the base models."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.attention = SelfAttention(width, config.num_attention_heads)
        self.norm_attention = nn.LayerNorm(width, eps)
        self.feed_forward = FeedForward(width, config.intermediate_size, config.hidden_act)
        self.norm_feed_forward = nn.LayerNorm(width, eps)

    def forward(self, x: Packed) -> Packed:
        """(frames, width) -> (frames, width)."""
        y = self.norm_attention(x.values + self.attention(x))
        return x.of(self.norm_feed_forward(y + self.feed_forward(y)))


class NormBefore(nn.Module):
    """A layer of the large models."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.norm_attention = nn.LayerNorm(width, eps)
        self.attention = SelfAttention(width, config.num_attention_heads)
        self.norm_feed_forward = nn.LayerNorm(width, eps)
        self.feed_forward = FeedForward(width, config.intermediate_size, config.hidden_act)
        self.adapter = Adapter(width, config.adapter_attn_dim) if config.adapter_attn_dim else None

    def forward(self, x: Packed) -> Packed:
        """(frames, width) -> (frames, width)."""
        y = x.values + self.attention(x.of(self.norm_attention(x.values)))
        y = y + self.feed_forward(self.norm_feed_forward(y))
        return x.of(y if self.adapter is None else y + self.adapter(y))


class Wav2Vec2Encoder(nn.Module):
    """Waveforms to hidden frames. Parts that only some of its models have are handed in."""

    longest: int | None = None
    squeeze = 1

    def __init__(
        self,
        stem: StemConfig,
        config: TransformerConfig,
        *,
        feature_norm: nn.Module,
        before_positions: nn.Module,
    ) -> None:
        super().__init__()
        self.shape, self.width, self.depth = stem.shape, config.hidden_size, config.num_hidden_layers
        self.activate = ACTIVATIONS[stem.feat_extract_activation]
        self.stem = STEMS[stem.feat_extract_norm](stem.shape, stem.feat_extract_activation, bias=stem.conv_bias)
        self.norm_features = feature_norm
        self.project = Linear(stem.conv_dim[-1], config.hidden_size)
        self.before_positions = before_positions
        self.positions = PositionalConvolution(
            config.hidden_size, config.num_conv_pos_embeddings, config.num_conv_pos_embedding_groups
        )
        stable = config.do_stable_layer_norm
        self.norm_first = nn.Identity() if stable else nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        layer = NormBefore if stable else NormAfter
        self.layers = nn.ModuleList(layer(config) for _ in range(config.num_hidden_layers))
        self.norm_last = nn.LayerNorm(config.hidden_size, config.layer_norm_eps) if stable else nn.Identity()

    def frames(self, samples: int) -> int:
        """Frames of a clip."""
        return self.shape.frames(samples)

    def extract(self, waveforms: Tensor, lengths: Sequence[int]) -> Packed:
        """(clips, samples) -> convolution features."""
        features: Packed = self.stem(waveforms, lengths)
        return features.of(self.norm_features(features.values))

    def embed(self, features: Packed) -> Packed:
        """Features -> what the first layer reads."""
        x = features.of(self.project(features.values))
        positions = self.positions(x.of(self.before_positions(x.values)))
        return x.of(self.norm_first(x.values + self.activate(positions.values)))

    def states(self, x: Packed) -> Iterator[Packed]:
        """What the first layer reads, then what each layer returns."""
        yield x
        for layer in self.layers:
            x = layer(x)
            yield x

    def finish(self, last: Packed, features: Packed) -> Packed:
        """The last layer's state -> hidden frames."""
        return last.of(self.norm_last(last.values))

    def prepare(self) -> None:
        """Keep what follows from the weights."""
        self.positions.prepare()


class ScaleShift(nn.Module):
    """A batch norm at rest."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(width))
        self.shift = nn.Parameter(torch.empty(width))

    def forward(self, x: Tensor) -> Tensor:
        """(frames, width) -> (frames, width)."""
        return x * self.scale + self.shift


def stem_rows(stem: StemConfig) -> list[Row]:
    """The convolutions' lines of a weight table, which SEW-D has too."""
    convolution = "feature_extractor.conv_layers.{}."
    rows = [
        Row("stem.first", (convolution.format(0) + "conv",), Taps(stem.conv_kernel[0])),
        same("stem.norm", convolution.format(0) + "layer_norm"),
    ]
    for i, kernel in enumerate(stem.conv_kernel[1:]):
        rows.append(Row(f"stem.rest.{i}", (convolution.format(i + 1) + "conv",), Taps(kernel)))
        rows.append(same(f"stem.norms.{i}", convolution.format(i + 1) + "layer_norm"))
    return rows


def transformer_rows(config: TransformerConfig, positions: Form) -> list[Row]:
    """Every other line of a weight table but the feature norm's."""
    layer = "encoder.layers.{}."
    attention = tuple(f"{layer}attention.{part}_proj" for part in ("q", "k", "v"))
    norm = "norm_last" if config.do_stable_layer_norm else "norm_first"
    return [
        same("project", "feature_projection.projection"),
        same(norm, "encoder.layer_norm"),
        Row("positions", ("encoder.pos_conv_embed.conv",), positions),
        Row("layers.{}.attention.inward", attention, Fused(3)),
        same("layers.{}.attention.outward", layer + "attention.out_proj"),
        same("layers.{}.norm_attention", layer + "layer_norm"),
        same("layers.{}.feed_forward.widen", layer + "feed_forward.intermediate_dense"),
        same("layers.{}.feed_forward.narrow", layer + "feed_forward.output_dense"),
        same("layers.{}.norm_feed_forward", layer + "final_layer_norm"),
        same("layers.{}.adapter.norm", layer + "adapter_layer.norm"),
        same("layers.{}.adapter.narrow", layer + "adapter_layer.linear_1"),
        same("layers.{}.adapter.widen", layer + "adapter_layer.linear_2"),
    ]


def masking_vector(published: Json, width: int) -> dict[str, tuple[int, ...]]:
    """The vector that stood for masked frames in training, which inference does not read."""
    probabilities = published.get("mask_time_prob", 0.05), published.get("mask_feature_prob", 0.0)
    return {"masked_spec_embed": (width,)} if any(probabilities) else {}
