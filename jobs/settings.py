"""Options from a YAML file: below what is typed, above the defaults.

Every key that is not known is told at once, with what may have been meant.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path

import yaml
from cyclopts import App, ArgumentCollection, CycloptsError, config

from pipeline.stores.errors import scrub

CONFIG = "config"


def from_file(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Fill in what the file named by --config says and the command line does not; then nothing may be missing."""
    named = [each for each in arguments if f"--{CONFIG}" in each.names]
    if named and named[0].tokens:
        path = named[0].tokens[0].value
        options = {name.removeprefix("--") for each in arguments for name in each.names if name.startswith("--")}
        settings = read(path, sorted(options - {CONFIG}))
        config.Dict(settings, source=path, use_commands_as_keys=False)(app, commands, arguments)
    if missing := [each.name for each in arguments if each.required and not each.tokens and not each.children]:
        command = " ".join(commands)
        raise CycloptsError(msg=f"{command} needs {_listed(missing)}: `steno {command} --help` says what is meant")


def _listed(names: list[str]) -> str:
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), names[-1]])


def read(path: str, known: Iterable[str]) -> dict[str, object]:
    """The file's settings by their names on the command line; `CycloptsError` says all that is wrong."""
    try:
        return _read(path, list(known))
    except CycloptsError as error:
        raise CycloptsError(msg=scrub(str(error))) from None


def _read(path: str, names: list[str]) -> dict[str, object]:
    try:
        with Path(path).open(encoding="utf-8") as file:  # a file, so that what is wrong is told with its name
            found = yaml.safe_load(file)
    except OSError as error:
        raise CycloptsError(msg=f"--{CONFIG} {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CycloptsError(msg=f"--{CONFIG} {path} is not text in UTF-8: {error}") from None
    except yaml.YAMLError as error:
        raise CycloptsError(msg=f"{path} is not YAML: {error}") from None
    if not isinstance(found, dict):
        raise CycloptsError(msg=f"{path} must be lines of `option: value`, as in `beam: 4`")
    settings = {str(key).replace("_", "-"): value for key, value in found.items()}
    if problems := [_unknown(path, key, names) for key in settings if key not in names]:
        raise CycloptsError(msg="\n".join(problems))
    return {key: _typed(value) for key, value in settings.items() if value is not None}


def _typed(value: object) -> object:
    """As it would be typed: a mapping is `name=value`, once for each."""
    return [f"{name}={of}" for name, of in value.items()] if isinstance(value, dict) else value


def _unknown(path: str, key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    meant = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"{path}: there is no option {key}; {meant}"
