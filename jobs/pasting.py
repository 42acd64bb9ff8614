"""Commands for a person to paste into a shell: whatever the name of a folder holds, it is a name there."""

import re
import shlex
import sys
from pathlib import Path

PLAIN = re.compile(r"[^\"'$`\\!\x00-\x1f\x7f]*")
"""What means nothing to a shell within double quotes: names of this sort are shown in them, which is easier to read."""


def one_liner(output: str, column: str) -> str:
    """Reads the table with what this program needs itself, so that it runs where this program does."""
    program, here = Path(sys.executable), Path.cwd()
    python = program.relative_to(here) if program.is_relative_to(here) else program
    folder = f"{output.rstrip('/')}/transcripts"
    rows = f"d.dataset({folder!r}).head(10, columns=['recording_id', '{column}'])"
    code = f"import pyarrow.dataset as d; print(*{rows}.to_pylist(), sep='\\n')"
    return f"{shlex.quote(str(python))} -c {_quoted(code, folder)}"


def query(output: str) -> str:
    """Reads the table with DuckDB."""
    return duckdb(f"{output.rstrip('/')}/transcripts", "SELECT recording_id, text LIMIT 10")


def duckdb(folder: str, asked: str) -> str:
    """Asks DuckDB something about the Parquet files of a folder; one with a backslash in its name, it does not find."""
    name = re.sub(r"([*?[])", r"[\1]", folder.rstrip("/")).replace("'", "''")
    sql = f"FROM '{name}/*.parquet' {asked}"
    return f"duckdb -c {_quoted(sql, folder)}"


def _quoted(code: str, folder: str) -> str:
    return f'"{code}"' if PLAIN.fullmatch(folder) else shlex.quote(code)
