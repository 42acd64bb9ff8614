"""What the model benchmark runs: published sizes with random weights, and clips of noise.

Speed does not depend on what is said, so neither weights nor clips need to mean anything.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import transformers as hf

Clips = list[npt.NDArray[np.float32]]

RATE = 16_000
SIGNS = ("<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ")
"""What a published speller writes."""
LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
STABLE = LARGE | {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
SEW_TINY = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "intermediate_size": 1536}
SEW_MID = {"hidden_size": 512, "num_hidden_layers": 24, "num_attention_heads": 8, "intermediate_size": 2048}


@dataclass(frozen=True)
class Size:
    """A published shape."""

    build: Callable[[], hf.PreTrainedModel]
    heavy: bool = False
    """Gets fewer repetitions and smaller batches."""
    masked: bool = False
    """Whether the published front end hands out an attention mask."""
    mels: bool = False
    """Whether it reads log-mel features."""


SIZES = {
    "hubert-base": Size(lambda: hf.HubertForCTC(hf.HubertConfig())),
    "sew-d-tiny": Size(lambda: hf.SEWDForCTC(hf.SEWDConfig(**SEW_TINY))),
    "sew-d-mid": Size(lambda: hf.SEWDForCTC(hf.SEWDConfig(**SEW_MID))),
    "medasr": Size(lambda: hf.LasrForCTC(hf.LasrCTCConfig()), masked=True, mels=True),
    "hubert-large": Size(lambda: hf.HubertForCTC(hf.HubertConfig(**STABLE)), heavy=True, masked=True),
    "unispeech-large": Size(lambda: hf.UniSpeechForCTC(hf.UniSpeechConfig(**STABLE)), heavy=True, masked=True),
}


def write_speller(folder: Path) -> None:
    """HuBERT base with random weights, as transformers keeps it."""
    torch.manual_seed(0)
    SIZES["hubert-base"].build().save_pretrained(folder)
    hf.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({sign: number for number, sign in enumerate(SIGNS)}))


def equal_clips(count: int, seconds: float = 10.0) -> Clips:
    """Clips of one length."""
    random = np.random.default_rng(0)
    return [_noise(random, round(seconds * RATE)) for _ in range(count)]


def skewed_clips(count: int) -> Clips:
    """Lengths as in a corpus of utterances: log-normal, median 5.8 s, mean 7.9 s, held within 0.5 and 35 s."""
    random = np.random.default_rng(1)
    seconds = np.exp(random.normal(np.log(5.8), 0.786, count)).clip(0.5, 35.0)
    return [_noise(random, round(length * RATE)) for length in seconds]


def arrival_batches(clips: Clips, size: int) -> list[Clips]:
    """As they come, so many at a time."""
    return [clips[i : i + size] for i in range(0, len(clips), size)]


def sorted_batches(clips: Clips, budget_seconds: float) -> list[Clips]:
    """Sorted by length and cut where a batch's padded length would pass the budget."""
    batches: list[Clips] = [[]]
    for clip in sorted(clips, key=len):
        if batches[-1] and (len(batches[-1]) + 1) * len(clip) > budget_seconds * RATE:
            batches.append([])
        batches[-1].append(clip)
    return batches


def padding_share(batches: Sequence[Clips]) -> float:
    """How much of the padded samples is padding."""
    padded = sum(len(batch) * max(map(len, batch)) for batch in batches)
    return 1 - sum(len(clip) for batch in batches for clip in batch) / padded


class Reference:
    """The oracle, used the way its documentation shows."""

    def __init__(self, size: Size, model: hf.PreTrainedModel, dtype: torch.dtype) -> None:
        self.size, self.dtype = size, dtype
        self.model = model.to(dtype).eval()
        kind = hf.LasrFeatureExtractor if size.mels else hf.Wav2Vec2FeatureExtractor
        self.extractor = kind(return_attention_mask=size.masked)

    @torch.inference_mode()
    def logits(self, clips: Clips) -> torch.Tensor:
        """Samples in, logits out, front end included."""
        inputs = self.extractor(
            clips,
            sampling_rate=RATE,
            padding=True,
            return_tensors="pt",
            return_attention_mask=self.size.masked,
        )
        inputs = {name: self._cast(tensor).to(self.model.device) for name, tensor in inputs.items()}
        logits: torch.Tensor = self.model(**inputs).logits
        return logits

    def _cast(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor


def _noise(random: np.random.Generator, samples: int) -> npt.NDArray[np.float32]:
    return random.normal(0, 0.1, samples).astype(np.float32)
