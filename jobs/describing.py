"""What a checkpoint is, in one look; and what kinds of checkpoint there are.

The checkpoint is really loaded, so whatever would stop a run is found here, and said at once.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import torch

from jobs.options_looking import Describe
from jobs.pace import Pace, pace
from jobs.refusals import SetupError, unhad
from jobs.table import aligned
from models import CheckpointError, SourceError, SpeechModel, load_model
from models.frontend import Fbank, Frontend, LogMel, Waveform
from models.heads import CtcHead
from models.registry import ARCHITECTURES
from models.writer import Writer

__all__ = ["Architectures", "Describe", "Report", "architectures", "describe", "described", "told"]

FAMILIES: Mapping[str, str] = {
    "Hubert": "HuBERT",
    "UniSpeech": "UniSpeech",
    "SEWD": "SEW-D",
    "Lasr": "LASR",
    "Speech2Text": "Speech2Text",
}
"""How published class names begin."""

HEADS: Mapping[str, str] = {
    "ForCTC": "CTC",
    "ForSequenceClassification": "classifier",
    "ForPreTraining": "units",
    "ForConditionalGeneration": "decoder",
    "Model": "none",
    "Encoder": "none",
}
"""How published class names end."""

GIVES: Mapping[str, str] = {
    "CTC": "tokens, with their times",
    "classifier": "a score per label",
    "units": "discrete units",
    "decoder": "tokens, with their times",
    "none": "hidden states, and an embedding per clip",
}
"""What a head makes of a clip."""

SHOWN_LABELS = 12
"""Labels that fit on a screen."""


@dataclass(frozen=True)
class Architecture:
    """A published class that can be read."""

    architecture: str
    """Its published name."""
    family: str
    head: str
    gives: str
    """What it makes of a clip."""


@dataclass(frozen=True)
class Architectures:
    """All of them."""

    architectures: tuple[Architecture, ...]

    def text(self) -> str:
        """A table for people."""
        rows = [(each.architecture, each.family, each.head, each.gives) for each in self.architectures]
        return aligned([("architecture", "family", "head", "gives"), *rows])

    @property
    def note(self) -> str:
        """Nothing that must be known beside it."""
        return ""

    def record(self) -> dict[str, object]:
        """For programs."""
        return asdict(self)


@dataclass(frozen=True)
class Report:
    """What a checkpoint is."""

    ref: str
    """As it was asked for."""
    architecture: str
    """Its published class name."""
    family: str
    head: str
    gives: str
    """What it makes of a clip."""
    parameters: int
    """Numbers that are learned and that inference reads."""
    sample_rate: int
    """Samples per second that clips must have."""
    seconds_per_frame: float
    """From one hidden frame to the next."""
    vocabulary_size: int | None
    """Classes of a CTC head, the blank among them, or tokens of a decoder; None for another head."""
    vocabulary_file: bool
    """Whether the checkpoint says what its token ids stand for."""
    labels: tuple[str, ...]
    """Names of a classifier's scores, in order."""
    front_end: str
    """What becomes of samples before the model reads them."""
    speed: Pace | None = None
    """What to expect of it on this machine; None where it was not tried."""

    def text(self) -> str:
        """A table for people."""
        rows = [
            ("checkpoint", self.ref),
            ("architecture", self.architecture),
            ("family", self.family),
            ("head", f"{self.head}: gives {self.gives}"),
            ("parameters", f"{self.parameters / 1e6:,.2f} million"),
            ("sample rate", f"{self.sample_rate} Hz"),
            ("frame", f"every {self.seconds_per_frame:g} s"),
            ("vocabulary", self._vocabulary()),
            ("labels", self._labels()),
            ("front end", self.front_end),
            ("speed", self.speed.text() if self.speed else ""),
        ]
        return aligned([row for row in rows if row[1]])

    @property
    def note(self) -> str:
        """Nothing that must be known beside it."""
        return ""

    def record(self) -> dict[str, object]:
        """For programs."""
        return asdict(self)

    def _vocabulary(self) -> str:
        if self.vocabulary_size is None:
            return ""
        absent = "" if self.vocabulary_file else "; no vocabulary file, so ids only and no text"
        blank = ", the blank among them" if self.head == HEADS["ForCTC"] else ""
        return f"{self.vocabulary_size} tokens{blank}{absent}"

    def _labels(self) -> str:
        more = len(self.labels) - SHOWN_LABELS
        shown = ", ".join(self.labels[:SHOWN_LABELS])
        return f"{len(self.labels)}: {shown}{f' and {more} more' if more > 0 else ''}" if self.labels else ""


def architectures() -> Architectures:
    """Every published class that can be read."""
    return Architectures(tuple(_architecture(name) for name in ARCHITECTURES))


def told(options: Describe) -> Report | Architectures:
    """A checkpoint, or without one all that can be read."""
    return architectures() if options.ref is None else describe(options)


def describe(options: Describe) -> Report:
    """Load a checkpoint, say what it is, and try how fast it is here; `SetupError` says why it cannot be used."""
    if options.ref is None:
        raise SetupError(["no checkpoint is named: a folder, s3://bucket/folder or hf://org/name@revision"])
    try:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = load_model(options.ref, device=device, allow_pickle=options.allow_pickle)
    except SourceError as error:
        raise SetupError([unhad(error)]) from error
    except CheckpointError as error:
        said = str(error).replace("allow_pickle=True", "--allow-pickle")  # its name on this side of the door
        raise SetupError([said]) from error
    return replace(described(options.ref, model), speed=pace(model))


def described(ref: str, model: SpeechModel) -> Report:
    """What a loaded checkpoint is."""
    kind = _architecture(model.architecture)
    return Report(
        ref=ref,
        architecture=kind.architecture,
        family=kind.family,
        head=kind.head,
        gives=kind.gives,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        sample_rate=model.sample_rate,
        seconds_per_frame=model.seconds_per_frame,
        vocabulary_size=_vocabulary_size(model),
        vocabulary_file=model.vocabulary is not None,
        labels=model.labels,
        front_end=_front_end(model.frontend),
    )


def _architecture(name: str) -> Architecture:
    ending = next(ending for ending in HEADS if name.endswith(ending))
    head = HEADS[ending]
    return Architecture(name, FAMILIES[name.removesuffix(ending)], head, GIVES[head])


def _vocabulary_size(model: SpeechModel) -> int | None:
    return model.head.config.vocab_size if isinstance(model.head, CtcHead | Writer) else None


def _front_end(frontend: Frontend) -> str:
    match frontend:
        case LogMel() | Fbank():
            window, hop = (1000 * samples / frontend.sample_rate for samples in (frontend.window, frontend.hop))
            return f"{frontend.mels} log-mel bands, from windows of {window:g} ms every {hop:g} ms"
        case Waveform(normalize=True):
            return "the waveform, each clip at zero mean and unit variance"
        case _:
            return "the waveform as it is"
