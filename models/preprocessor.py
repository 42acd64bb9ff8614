"""preprocessor_config.json as a front end, and a front end as preprocessor_config.json."""

from dataclasses import replace
from pathlib import Path

from models.config import ConfigError, Json, read_json, refuse
from models.frontend import Fbank, Frontend, LogMel, Waveform

NAME, COMBINED = "preprocessor_config.json", "processor_config.json"


def read_frontend(folder: Path, default: Frontend) -> tuple[Frontend, list[str]]:
    """The front end that preprocessor_config.json or processor_config.json describes, and what is wrong with it.

    The kind is the family's; the files say the rest.
    """
    name = source(folder)
    stated = _described(folder / name) if (folder / name).is_file() else {}
    match default:
        case LogMel():
            frontend, problems = _log_mel(default, stated)
        case Fbank():
            frontend, problems = _fbank(default, stated)
        case _:
            frontend, problems = _waveform(stated)
    return frontend, [f"{name}: {problem}" for problem in problems]


def source(folder: Path) -> str:
    """The file that describes a folder's front end, or would."""
    return NAME if (folder / NAME).is_file() or not (folder / COMBINED).is_file() else COMBINED


def _described(path: Path) -> Json:
    content = read_json(path)
    nested = content.get("feature_extractor", content)
    if not isinstance(nested, dict):
        raise ConfigError([f"{path.name}: feature_extractor is {nested!r}; an object is needed"])
    return nested


def mismatched(frontend: Frontend, encoder: Json, name: str) -> list[str]:
    """Features of another width than the encoder reads; `name` is the file that describes them."""
    match frontend:
        case LogMel():
            stated, field, wanted = "feature_size", "num_mel_bins", _stated(encoder, "num_mel_bins", LogMel().mels)
        case Fbank():
            stated, field = "num_mel_bins", "input_feat_per_channel x input_channels"
            wanted = _stated(encoder, "input_feat_per_channel", Fbank().mels) * _stated(encoder, "input_channels", 1)
        case _:
            return []
    if frontend.mels == wanted:
        return []
    return [f"{name}: {stated} is {frontend.mels}, but config.json: {field} is {wanted}"]


def _stated(encoder: Json, name: str, default: int) -> int:
    value = encoder.get(name)
    return value if isinstance(value, int) and value else default


def published(frontend: Frontend) -> dict[str, object]:
    """The content of preprocessor_config.json."""
    every = {"sampling_rate": frontend.sample_rate, "padding_value": 0.0, "return_attention_mask": True}
    match frontend:
        case LogMel():
            return every | {
                "feature_extractor_type": "LasrFeatureExtractor",
                "feature_size": frontend.mels,
                "hop_length": frontend.hop,
                "win_length": frontend.window,
                "n_fft": frontend.fft,
            }
        case Fbank():
            return every | {
                "feature_extractor_type": "Speech2TextFeatureExtractor",
                "feature_size": frontend.mels,
                "num_mel_bins": frontend.mels,
                "do_ceptral_normalize": frontend.center or frontend.scale,
                "normalize_means": frontend.center,
                "normalize_vars": frontend.scale,
            }
        case Waveform():
            return every | {
                "feature_extractor_type": "Wav2Vec2FeatureExtractor",
                "do_normalize": frontend.normalize,
                "feature_size": 1,
            }
        case _:
            raise TypeError(f"{type(frontend).__name__} has no published form")


def _waveform(stated: Json) -> tuple[Frontend, list[str]]:
    rate, problems = _number(stated, "sampling_rate", 16_000)
    normalize, more = _flag(stated, "do_normalize")
    return Waveform(rate, normalize), problems + more


def _log_mel(default: LogMel, stated: Json) -> tuple[Frontend, list[str]]:
    problems = []
    names = {
        "sample_rate": "sampling_rate",
        "mels": "feature_size",
        "hop": "hop_length",
        "window": "win_length",
        "fft": "n_fft",
    }
    values: dict[str, int] = {}
    for ours, name in names.items():
        values[ours], more = _number(stated, name, getattr(default, ours))
        problems += more
    if values["fft"] < values["window"]:
        problems.append("n_fft is smaller than win_length")
    return replace(default, **values), problems


def _fbank(default: Fbank, stated: Json) -> tuple[Frontend, list[str]]:
    rate, problems = _number(stated, "sampling_rate", default.sample_rate)
    mels, more = _number(stated, "num_mel_bins", default.mels)
    problems += more
    if not problems and rate < Fbank.LOWEST_RATE:
        problems.append(f"sampling_rate is {rate}; at least {Fbank.LOWEST_RATE} is needed")
    flags = {name: _flag(stated, name) for name in ("do_ceptral_normalize", "normalize_means", "normalize_vars")}
    problems += [problem for _, found in flags.values() for problem in found]
    problems += refuse(stated, {"dither": 0.0})
    normalize, center, scale = (value for value, _ in flags.values())
    return Fbank(max(rate, Fbank.LOWEST_RATE), mels, normalize and center, normalize and scale), problems


def _flag(stated: Json, name: str) -> tuple[bool, list[str]]:
    value = stated.get(name, True)
    if isinstance(value, bool):
        return value, []
    return bool(value), [f"{name} is {value!r}; true or false is needed"]


def _number(stated: Json, name: str, default: int) -> tuple[int, list[str]]:
    value = stated.get(name, default)
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value, []
    return default, [f"{name} is {value!r}; a positive whole number is needed"]
