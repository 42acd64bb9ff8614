"""SEW-D: squeezed and efficient wav2vec with disentangled attention (arXiv 2109.06870).

The transformer runs at half the frame rate (`squeeze_factor`): frames are averaged in pairs before it and unfolded
after it. An odd last frame has no partner; the published model drops it and returns zeros there, and so do we.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.config import Json, StemConfig, at_least, choice, read, refuse, require_sound
from models.encoder import Design
from models.layers.activations import ACTIVATIONS
from models.layers.convolution import STEMS
from models.layers.disentangled import DisentangledAttention, Distances
from models.layers.feed_forward import FeedForward
from models.layers.kept import Stamp, stamp
from models.layers.linear import Linear
from models.layers.packing import Packed
from models.layers.positions import PositionalConvolution
from models.wav2vec2 import masking_vector, stem_rows
from models.weights import Fused, Row, WeightNorm, same

STEM = StemConfig(
    conv_dim=(64, 128, 128, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512),
    conv_kernel=(10, 3, 1, 3, 1, 3, 1, 3, 1, 2, 1, 2, 1),
    conv_stride=(5, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1),
)


@dataclass(frozen=True)
class SewDConfig:
    """A published SEW-D configuration."""

    stem: StemConfig = STEM
    hidden_size: int = 768
    """Width of a frame."""
    num_hidden_layers: int = 12
    """Layers."""
    num_attention_heads: int = 12
    """Heads of each layer."""
    intermediate_size: int = 3072
    """Width inside the feed-forward."""
    hidden_act: str = choice("gelu_python", ACTIVATIONS)
    """The feed-forward's activation."""
    layer_norm_eps: float = 1e-7
    """Added to the variance in the layers' norms."""
    feature_layer_norm_eps: float = 1e-5
    """Added to the variance in the convolution features' norm."""
    squeeze_factor: int = 2
    """Frames that the transformer sees as one."""
    num_conv_pos_embeddings: int = 128
    """Frames that the positional convolution sees."""
    num_conv_pos_embedding_groups: int = 16
    """Its groups of channels."""
    relative_attention: bool = True
    """Whether attention knows distances."""
    position_buckets: int = at_least(-1, 256)
    """Distances kept apart before they are spaced logarithmically; 0 or less keeps them all."""
    max_position_embeddings: int = 512
    """The largest distance that counts, where `max_relative_positions` does not say."""
    max_relative_positions: int = at_least(-1, -1)
    """The largest distance that counts, if positive."""
    share_att_key: bool = True
    """Whether positions are projected by the content's own key and query products."""
    pos_att_type: tuple[str, ...] = ("p2c", "c2p")
    """The positional terms."""
    norm_rel_ebd: str = "layer_norm"
    """Names separated by `|`; `layer_norm` among them normalises the learned positions."""

    @property
    def distances(self) -> Distances | None:
        """How far apart two frames count as."""
        if not self.relative_attention:
            return None
        positive = self.max_relative_positions > 0
        furthest = self.max_relative_positions if positive else self.max_position_embeddings
        return Distances(self.position_buckets, furthest)

    @property
    def norms_positions(self) -> bool:
        """Whether the learned positions are normalised."""
        return "layer_norm" in [name.strip() for name in self.norm_rel_ebd.lower().split("|")]

    def flaws(self) -> list[str]:
        """Values that contradict one another."""
        flaws = []
        if self.hidden_size % self.num_attention_heads:
            flaws.append(f"hidden_size {self.hidden_size} is no multiple of num_attention_heads")
        if self.hidden_size % self.num_conv_pos_embedding_groups:
            flaws.append(f"hidden_size {self.hidden_size} is no multiple of num_conv_pos_embedding_groups")
        return flaws


class SewDLayer(nn.Module):
    """Attention, then feed-forward, a norm after each."""

    def __init__(self, config: SewDConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.attention = DisentangledAttention(
            width,
            config.num_attention_heads,
            config.distances,
            config.pos_att_type,
            shared=config.share_att_key,
        )
        self.norm_attention = nn.LayerNorm(width, eps)
        self.feed_forward = FeedForward(width, config.intermediate_size, config.hidden_act)
        self.norm_feed_forward = nn.LayerNorm(width, eps)

    def forward(self, x: Packed, positions: Tensor | None) -> Packed:
        """(frames, width) and the learned positions (rows, width) -> (frames, width)."""
        y = self.norm_attention(x.values + self.attention(x, positions))
        return x.of(self.norm_feed_forward(y + self.feed_forward(y)))


class SewDEncoder(nn.Module):
    """Waveforms to hidden frames."""

    longest: int | None = None

    def __init__(self, config: SewDConfig) -> None:
        super().__init__()
        stem, width = config.stem, config.hidden_size
        self.shape, self.width, self.depth = stem.shape, width, config.num_hidden_layers
        self.squeeze = config.squeeze_factor
        self.activate = ACTIVATIONS[stem.feat_extract_activation]
        self.stem = STEMS[stem.feat_extract_norm](stem.shape, stem.feat_extract_activation, bias=stem.conv_bias)
        self.norm_features = nn.LayerNorm(stem.conv_dim[-1], config.feature_layer_norm_eps)
        self.project = Linear(stem.conv_dim[-1], width) if stem.conv_dim[-1] != width else nn.Identity()
        self.positions = PositionalConvolution(
            width, config.num_conv_pos_embeddings, config.num_conv_pos_embedding_groups
        )
        distances = config.distances
        self.distance_rows = nn.Embedding(2 * distances.span, width) if distances else None
        self.norm_distances = nn.LayerNorm(width, config.layer_norm_eps) if config.norms_positions else nn.Identity()
        self.layers = nn.ModuleList(SewDLayer(config) for _ in range(config.num_hidden_layers))
        self.unfold = Linear(width, width * config.squeeze_factor)
        self.stamp: Stamp = ()

    def frames(self, samples: int) -> int:
        """Frames of a clip; a clip of fewer frames than `squeeze_factor` has none that the layers can read."""
        frames = self.shape.frames(samples)
        return frames if frames >= self.squeeze else 0

    def extract(self, waveforms: Tensor, lengths: Sequence[int]) -> Packed:
        """(clips, samples) -> projected convolution features."""
        features: Packed = self.stem(waveforms, lengths)
        return features.of(self.project(self.norm_features(features.values)))

    def embed(self, features: Packed) -> Packed:
        """Features -> squeezed frames."""
        positions = self.positions(features)
        pairs = zip(features.clips(), positions.clips(), strict=True)
        squeezed = [self._squeeze(clip, places) for clip, places in pairs]
        return Packed(torch.cat(squeezed), tuple(map(len, squeezed)))

    def states(self, x: Packed) -> Iterator[Packed]:
        """What the first layer reads, then what each layer returns, at the squeezed rate."""
        yield x
        if self.stamp != stamp(self._behind_tables()):
            self.prepare()
        positions = self._distance_rows()
        for layer in self.layers:
            x = layer(x, positions)
            yield x

    def finish(self, last: Packed, features: Packed) -> Packed:
        """Squeezed frames -> hidden frames at the features' rate, zeros where one has no partner."""
        wide = last.of(self.activate(self.unfold(last.values)))
        clips = [
            F.pad(clip.reshape(-1, self.width), (0, 0, 0, frames - self.squeeze * len(clip)))
            for clip, frames in zip(wide.clips(), features.lengths, strict=True)
        ]
        return Packed(torch.cat(clips), features.lengths)

    def prepare(self) -> None:
        """Keep what follows from the weights."""
        self.positions.prepare()
        self.stamp = stamp(self._behind_tables())
        with torch.no_grad():
            positions = self._distance_rows()
            for layer in self.layers:
                assert isinstance(layer, SewDLayer)
                layer.attention.prepare(positions)

    def _behind_tables(self) -> Iterator[Tensor]:
        """Every weight that a layer's position tables follow from."""
        if self.distance_rows is not None:
            yield from self.distance_rows.parameters()
            yield from self.norm_distances.parameters()
        for layer in self.layers:
            assert isinstance(layer, SewDLayer)
            yield from layer.attention.parameters()

    def _squeeze(self, clip: Tensor, places: Tensor) -> Tensor:
        frames = len(clip) // self.squeeze
        means = clip[: frames * self.squeeze].unflatten(0, (frames, self.squeeze)).mean(1)
        return means + self.activate(places[:: self.squeeze][:frames].contiguous())

    def _distance_rows(self) -> Tensor | None:
        return None if self.distance_rows is None else self.norm_distances(self.distance_rows.weight)


def design(published: Json) -> Design:
    """The encoder that a configuration describes, without weights."""
    config, problems = read(SewDConfig(), published)
    problems += refuse(published, {"add_adapter": False, "conv_kernel_size": 0})
    require_sound(problems, config.stem, config)
    width = config.hidden_size
    strange = sorted(set(config.pos_att_type) - {"c2p", "p2c"})
    problems += [f"pos_att_type names {kind!r}; supported: c2p, p2c" for kind in strange]
    problems += refuse(published, {"attention_head_size": width // config.num_attention_heads})
    return Design(
        SewDEncoder(config),
        layers=config.num_hidden_layers,
        features=width,
        rows=(*stem_rows(config.stem), *_rows()),
        unused=masking_vector(published, width),
        problems=tuple(problems),
    )


def _rows() -> list[Row]:
    layer = "encoder.encoder.layer.{}."
    content = tuple(f"{layer}attention.self.{part}_proj" for part in ("query", "key", "value"))
    return [
        same("norm_features", "layer_norm"),
        same("project", "feature_projection"),
        Row("positions", ("encoder.pos_conv_embed.conv",), WeightNorm()),
        same("distance_rows", "encoder.encoder.rel_embeddings"),
        same("norm_distances", "encoder.encoder.LayerNorm"),
        Row("layers.{}.attention.inward", content, Fused(3)),
        same("layers.{}.attention.position_keys", layer + "attention.self.pos_key_proj"),
        same("layers.{}.attention.position_queries", layer + "attention.self.pos_query_proj"),
        same("layers.{}.attention.outward", layer + "attention.output.dense"),
        same("layers.{}.norm_attention", layer + "attention.output.LayerNorm"),
        same("layers.{}.feed_forward.widen", layer + "intermediate.dense"),
        same("layers.{}.feed_forward.narrow", layer + "output.dense"),
        same("layers.{}.norm_feed_forward", layer + "output.LayerNorm"),
        same("unfold", "encoder.upsample.projection"),
    ]
