"""Published speech models for inference. `load_model` is the way in; nothing here knows Ray or files of audio."""

from pathlib import Path

from models.checkpoint import CheckpointError, read_checkpoint, read_frontend
from models.frontend import Frontend
from models.language_model import load_language_model
from models.model import SpeechModel
from models.protocol import CtcSearch, Generation
from models.sources import fetch
from models.wanted import SourceError

__all__ = [
    "CheckpointError",
    "CtcSearch",
    "Generation",
    "SourceError",
    "SpeechModel",
    "load_frontend",
    "load_language_model",
    "load_model",
]


def load_model(
    ref: str | Path, dtype: str = "float32", device: str = "cpu", *, allow_pickle: bool = False
) -> SpeechModel:
    """The checkpoint at `ref` (a folder, s3://bucket/prefix, hf://org/name@revision), ready to read clips."""
    return read_checkpoint(fetch(ref), dtype=dtype, device=device, allow_pickle=allow_pickle)


def load_frontend(ref: str | Path) -> Frontend:
    """What turns samples into the inputs of the checkpoint at `ref`, without its weights."""
    return read_frontend(fetch(ref))
