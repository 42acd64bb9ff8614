"""README in pieces: its sections, its blocks of code, and the commands that it tells people to type."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """A section, to the next of its rank or a higher one; `title` with its hashes."""
    rank = len(title.split(maxsplit=1)[0])
    body = README.partition(f"\n{title}\n")[2]
    assert body, f"README has no {title}"
    return re.split(rf"^#{{1,{rank}}} ", body, maxsplit=1, flags=re.MULTILINE)[0]


def blocks(text: str, language: str = "") -> list[str]:
    """What stands between fences of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def lines(text: str) -> list[str]:
    """What is typed, prompt and all."""
    return re.findall(r"^\$ .*$", text, re.MULTILINE)


def commands(text: str) -> list[list[str]]:
    """The words of every line that calls `steno`, without what a comment says."""
    found = (re.fullmatch(r"\$ (?:\.venv/bin/)?steno (.*)", line) for line in lines(text))
    return [shlex.split(match[1], comments=True) for match in found if match]
