"""UniSpeech: wav2vec 2.0 with a phonetic objective and a quantiser (arXiv 2101.07597)."""

from dataclasses import dataclass

from torch import nn

from models.config import Json, StemConfig, read, refuse, require_sound
from models.encoder import Design
from models.wav2vec2 import (
    TransformerConfig,
    Wav2Vec2Encoder,
    masking_vector,
    stem_rows,
    transformer_rows,
)
from models.weights import WeightNorm, same


@dataclass(frozen=True)
class UniSpeechConfig:
    """A published UniSpeech configuration."""

    stem: StemConfig = StemConfig()
    transformer: TransformerConfig = TransformerConfig()


def design(published: Json) -> Design:
    """The encoder that a configuration describes, without weights."""
    config, problems = read(UniSpeechConfig(), published)
    problems += refuse(published, {"add_adapter": False})
    stem, transformer = config.stem, config.transformer
    require_sound(problems, stem, transformer)
    encoder = Wav2Vec2Encoder(
        stem,
        transformer,
        feature_norm=nn.LayerNorm(stem.conv_dim[-1], transformer.layer_norm_eps),
        before_positions=nn.Identity(),
    )
    rows = [
        *stem_rows(stem),
        *transformer_rows(transformer, WeightNorm()),
        same("norm_features", "feature_projection.layer_norm"),
    ]
    return Design(
        encoder,
        layers=transformer.num_hidden_layers,
        features=stem.conv_dim[-1],
        rows=tuple(rows),
        unused=masking_vector(published, transformer.hidden_size),
        problems=tuple(problems),
    )
