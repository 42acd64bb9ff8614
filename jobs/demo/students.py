"""The demo's small models: what each is, and how it writes."""

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.demo.keywords import KEYWORDS
from jobs.demo.spelling import Letters, Pieces, Translation
from models.config import Json
from models.frontend import Fbank, Frontend, LogMel, Waveform

MELS = 80

_LASR: Json = {
    "hidden_size": 128,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "intermediate_size": 384,
    "conv_kernel_size": 16,
    "subsampling_conv_channels": 128,
    "num_mel_bins": MELS,
}
_WAVE: Json = {
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_dim": [128, 160, 128],
    "conv_kernel": [320, 5, 5],
    "conv_stride": [80, 2, 3],
    "hidden_size": 128,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "intermediate_size": 384,
    "num_conv_pos_embeddings": 32,
    "num_conv_pos_embedding_groups": 16,
    "mask_time_prob": 0.0,
    "ctc_loss_reduction": "mean",
    "ctc_zero_infinity": True,
}


@dataclass(frozen=True)
class Student:
    """One model before it has learned anything."""

    architecture: str
    """Its published class."""
    config: Json
    """What config.json will say."""
    spelling: Letters | Pieces | Translation | None
    frontend: Frontend
    rate: float
    """The highest learning rate."""


LETTERS, PIECES, TRANSLATION = Letters(), Pieces(), Translation()

STUDENTS: Mapping[str, Student] = {
    "lasr": Student(
        "LasrForCTC",
        {
            "model_type": "lasr_ctc",
            "encoder_config": {"model_type": "lasr_encoder", **_LASR},
            "vocab_size": 160,
            "pad_token_id": 0,
            "ctc_loss_reduction": "mean",
            "ctc_zero_infinity": True,
        },
        PIECES,
        LogMel(mels=MELS),
        2e-3,
    ),
    "hubert": Student(
        "HubertForCTC",
        {"model_type": "hubert", "vocab_size": len(LETTERS.pieces), "pad_token_id": 0, **_WAVE},
        LETTERS,
        Waveform(),
        1.5e-3,
    ),
    "unispeech": Student(
        "UniSpeechForCTC",
        {
            "model_type": "unispeech",
            "vocab_size": len(LETTERS.pieces),
            "num_ctc_classes": len(LETTERS.pieces),
            "pad_token_id": 0,
            **_WAVE,
        },
        LETTERS,
        Waveform(),
        1.5e-3,
    ),
    "sew-d": Student(
        "SEWDForCTC",
        {
            "model_type": "sew-d",
            "vocab_size": len(LETTERS.pieces),
            "pad_token_id": 0,
            **{name: value for name, value in _WAVE.items() if name != "do_stable_layer_norm"},
            "conv_stride": [80, 2, 2],
            "num_hidden_layers": 5,
            "squeeze_factor": 2,
            "position_buckets": 64,
            "max_position_embeddings": 256,
            "feature_layer_norm_eps": 1e-5,
        },
        LETTERS,
        Waveform(),
        1.5e-3,
    ),
    "keywords": Student(
        "HubertForSequenceClassification",
        {
            "model_type": "hubert",
            **_WAVE,
            "classifier_proj_size": 64,
            "num_labels": len(KEYWORDS),
            "id2label": {str(i): word for i, word in enumerate(KEYWORDS)},
            "label2id": {word: i for i, word in enumerate(KEYWORDS)},
        },
        None,
        Waveform(),
        7e-4,
    ),
    "speech2text": Student(
        "Speech2TextForConditionalGeneration",
        {
            "model_type": "speech_to_text",
            "vocab_size": len(TRANSLATION.pieces),
            "d_model": 128,
            "encoder_layers": 5,
            "encoder_ffn_dim": 384,
            "encoder_attention_heads": 4,
            "decoder_layers": 2,
            "decoder_ffn_dim": 384,
            "decoder_attention_heads": 4,
            "conv_channels": 256,
            "input_feat_per_channel": 80,
            "input_channels": 1,
            "bos_token_id": 0,
            "pad_token_id": TRANSLATION.pad,
            "eos_token_id": TRANSLATION.end,
            "decoder_start_token_id": TRANSLATION.end,
            "tie_word_embeddings": True,
            "max_length": 200,
            "num_beams": 2,
        },
        TRANSLATION,
        Fbank(),
        1.5e-3,
    ),
}
"""By the name of their folder."""
