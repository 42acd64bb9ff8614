"""Published speech models for inference. `load_model` is the way in; nothing here knows Ray or files of audio."""

from pathlib import Path

from models.checkpoint import CheckpointError, read_checkpoint
from models.model import SpeechModel
from models.sources import SourceError, fetch

__all__ = ["CheckpointError", "SourceError", "SpeechModel", "load_model"]


def load_model(
    ref: str | Path, dtype: str = "float32", device: str = "cpu", *, allow_pickle: bool = False
) -> SpeechModel:
    """The checkpoint at `ref` (a folder, s3://bucket/prefix, hf://org/name@revision), ready to read clips."""
    return read_checkpoint(fetch(ref), dtype=dtype, device=device, allow_pickle=allow_pickle)
