"""Published class names to models.

A blueprint is the whole model that a configuration describes, without weights, and the table that says where they
come from.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from models import hubert, lasr, sew_d, speech2text, unispeech
from models.classifier import Classifier
from models.config import LARGEST, ClassifierConfig, ConfigError, CtcConfig, Json, read, require_sound
from models.encoder import Design, Encoder
from models.frontend import Fbank, Frontend, LogMel, Waveform
from models.generation import read_rules
from models.heads import CtcHead, Head, NoHead
from models.quantizer import Quantizer, QuantizerConfig
from models.weights import Form, Pointwise, Row, Same, WeightMap, same
from models.writer import BareDecoder, Writer


@dataclass(frozen=True)
class Family:
    """One encoder, and what heads on it need to know."""

    design: Callable[[Json], Design]
    prefix: str
    """The encoder's name in a checkpoint that has a head."""
    frontend: Frontend
    """The front end where a checkpoint does not describe one."""
    ctc: CtcConfig
    """The published defaults of the CTC head."""
    ctc_row: Row
    """The CTC head's line of the weight table."""


def _ctc_row(name: str, form: Form) -> Row:
    return Row("head.project", (name,), form)


LINEAR = _ctc_row("lm_head", Same())
HUBERT = Family(hubert.design, "hubert", Waveform(), CtcConfig(ctc_loss_reduction="sum"), LINEAR)
UNISPEECH = Family(unispeech.design, "unispeech", Waveform(), CtcConfig(), LINEAR)
SEW_D = Family(sew_d.design, "sew_d", Waveform(), CtcConfig(), LINEAR)
LASR = Family(
    lasr.design,
    "encoder",
    LogMel(),
    CtcConfig(vocab_size=512, ctc_zero_infinity=True),
    _ctc_row("ctc_head", Pointwise()),
)
SPEECH2TEXT = Family(speech2text.design, "model", Fbank(), CtcConfig(), LINEAR)


@dataclass(frozen=True)
class Blueprint:
    """A model without weights, and what its configuration asks for in vain."""

    encoder: Encoder
    head: Head
    weights: WeightMap
    problems: tuple[str, ...]
    labels: tuple[str, ...] = ()
    """Names of a classifier's scores, in order."""
    asides: tuple[str, ...] = ()
    """Problems of other files than config.json, each naming its file."""

    def state(self) -> dict[str, Tensor]:
        """Every parameter by the name it has in a `SpeechModel`."""
        parts = {"encoder": cast(nn.Module, self.encoder), "head": cast(nn.Module, self.head)}
        return nn.ModuleDict(parts).state_dict()

    def published_shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor that a checkpoint must have."""
        return {name: tuple(tensor.shape) for name, tensor in self.weights.publish(self.state()).items()}


def _bare(family: Family, published: Json) -> Blueprint:
    design = family.design(published)
    head = NoHead(design.encoder.width)
    return Blueprint(design.encoder, head, _weight_map(design, "", [], {}), design.problems)


def _ctc(family: Family, published: Json) -> Blueprint:
    design = family.design(encoder_config(published))
    config, problems = read(family.ctc, published)
    require_sound([*design.problems, *problems], config)
    head = CtcHead(design.encoder.width, config)
    weights = _weight_map(design, family.prefix, [family.ctc_row], {})
    return Blueprint(design.encoder, head, weights, (*design.problems, *problems))


def _classifier(family: Family, published: Json) -> Blueprint:
    design = family.design(published)
    config, problems = read(ClassifierConfig(), published)
    labels = _labels(published)
    head = Classifier(design.encoder.width, design.layers, len(labels), config)
    rows = [same("head.project", "projector"), same("head.classify", "classifier"), same("head", "")]
    weights = _weight_map(design, family.prefix, rows, {})
    return Blueprint(design.encoder, head, weights, (*design.problems, *problems), labels)


def _quantizer(family: Family, published: Json) -> Blueprint:
    design = family.design(published)
    config, problems = read(QuantizerConfig(), published)
    require_sound([*design.problems, *problems], config)
    width = design.encoder.width
    rows = [
        same("head.score", "quantizer.weight_proj"),
        same("head", "quantizer"),
        same("head.narrow", "project_q"),
        same("head.widen", "project_hid"),
    ]
    unread = {"ctc_proj.weight": (config.num_ctc_classes, width), "ctc_proj.bias": (config.num_ctc_classes,)}
    head = Quantizer(design.features, width, config)
    weights = _weight_map(design, family.prefix, rows, unread)
    return Blueprint(design.encoder, head, weights, (*design.problems, *problems))


def _decoder(family: Family, published: Json) -> Blueprint:
    design = family.design(published)
    config, _ = speech2text.read_speech2text(published)
    weights = _weight_map(design, "", speech2text.decoder_rows(""), {})
    return Blueprint(design.encoder, BareDecoder(config), weights, design.problems)


def _writer(family: Family, published: Json) -> Blueprint:
    design = family.design(published)
    config, _ = speech2text.read_speech2text(published)
    rules, asides = read_rules(published, config)
    rows = speech2text.decoder_rows(f"{family.prefix}.")
    again = {"lm_head.weight": (config.vocab_size, config.d_model)} if config.tie_word_embeddings else {}
    weights = _weight_map(design, family.prefix, rows, again)
    return Blueprint(design.encoder, Writer(config, rules), weights, design.problems, asides=tuple(asides))


class Unfilled(TorchFunctionMode):
    """Modules begin without values: to draw them where there is no memory loads torch's compiler, for seconds."""

    def __torch_function__(
        self, func: Callable[..., object], types: object, args: Sequence[object] = (), kwargs: Json | None = None
    ) -> object:
        given = kwargs or {}
        if getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


@dataclass(frozen=True)
class Architecture:
    """A published class."""

    family: Family
    describe: Callable[[Family, Json], Blueprint]

    def blueprint(self, published: Json) -> Blueprint:
        """The model that a configuration describes; takes no memory for weights."""
        with torch.device("meta"), Unfilled():
            return self.describe(self.family, published)


ARCHITECTURES: Mapping[str, Architecture] = {
    "HubertModel": Architecture(HUBERT, _bare),
    "HubertForCTC": Architecture(HUBERT, _ctc),
    "HubertForSequenceClassification": Architecture(HUBERT, _classifier),
    "UniSpeechModel": Architecture(UNISPEECH, _bare),
    "UniSpeechForCTC": Architecture(UNISPEECH, _ctc),
    "UniSpeechForSequenceClassification": Architecture(UNISPEECH, _classifier),
    "UniSpeechForPreTraining": Architecture(UNISPEECH, _quantizer),
    "SEWDModel": Architecture(SEW_D, _bare),
    "SEWDForCTC": Architecture(SEW_D, _ctc),
    "SEWDForSequenceClassification": Architecture(SEW_D, _classifier),
    "LasrEncoder": Architecture(LASR, _bare),
    "LasrForCTC": Architecture(LASR, _ctc),
    "Speech2TextModel": Architecture(SPEECH2TEXT, _decoder),
    "Speech2TextForConditionalGeneration": Architecture(SPEECH2TEXT, _writer),
}


def architecture_name(published: Json) -> str:
    """The class that a configuration names, or a `ConfigError`."""
    named = published.get("architectures")
    name = named[0] if isinstance(named, list) and named else named
    if isinstance(name, str) and name in ARCHITECTURES:
        return name
    known = ", ".join(ARCHITECTURES)
    if not name:
        raise ConfigError([f"config.json has no `architectures`; it must name one of: {known}"])
    raise ConfigError([f"config.json names the architecture {name}, which is not one of: {known}"])


def published_shapes(published: Json) -> dict[str, tuple[int, ...]]:
    """Every tensor of a checkpoint with this configuration, the ones that inference does not read among them."""
    blueprint = ARCHITECTURES[architecture_name(published)].blueprint(published)
    return blueprint.published_shapes() | dict(blueprint.weights.unused)


def encoder_config(published: Json) -> Json:
    """A configuration may keep its encoder's fields in a part of their own."""
    if "encoder_config" not in published:
        return published
    nested = published["encoder_config"] or {}
    if not isinstance(nested, dict):
        raise ConfigError([f"config.json: encoder_config is {nested!r}; an object is needed"])
    return nested


def _weight_map(design: Design, prefix: str, head: list[Row], unread: Mapping[str, tuple[int, ...]]) -> WeightMap:
    """The encoder's lines under their names in this model, and the head's."""
    dot = f"{prefix}." if prefix else ""
    rows = [
        replace(row, ours=f"encoder.{row.ours}", published=tuple(dot + name for name in row.published))
        for row in design.rows
    ]
    unused = {dot + name: shape for name, shape in design.unused.items()} | dict(unread)
    return WeightMap((*rows, *head), unused)


def _labels(published: Json) -> tuple[str, ...]:
    named = published.get("id2label")
    if isinstance(named, dict) and named:
        if sorted(named) != sorted(str(i) for i in range(len(named))):
            raise ConfigError([f"config.json: id2label must number its labels from 0 to {len(named) - 1}"])
        return tuple(str(named[str(i)]) for i in range(len(named)))
    count = published.get("num_labels", 2)
    if not isinstance(count, int) or not 0 < count <= LARGEST:
        raise ConfigError([f"config.json: num_labels is {count!r}; a whole number above zero is needed"])
    return tuple(f"LABEL_{i}" for i in range(count))
