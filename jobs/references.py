"""What was said, from a file beside the table.

It is kept in a database of this process that spills to disk, so a large one needs no memory.
"""

import sqlite3

from jobs.refusals import SetupError, named
from pipeline.references import Said, first_of, said
from pipeline.storage import StoreError


class References:
    """Texts by recordings, and by channels where the file keeps them apart."""

    def __init__(self, url: str) -> None:
        self._known = sqlite3.connect("")  # on disk, for this process alone, and gone with it
        self._known.execute(
            "CREATE TABLE known (name TEXT PRIMARY KEY, text TEXT, several INTEGER DEFAULT 0) WITHOUT ROWID"
        )
        problems: list[str] = []
        try:
            for each in said(url):
                if isinstance(each, str):
                    problems.append(each)
                else:
                    self._keep(each)
        except StoreError as error:
            raise SetupError([*first_of(problems, url), named("references", error)]) from error
        if problems:
            raise SetupError(first_of(problems, url))

    def __len__(self) -> int:
        return int(self._known.execute("SELECT count(*) FROM known").fetchone()[0])

    @property
    def contradictory(self) -> int:
        """Names with several texts, which say nothing."""
        return int(self._known.execute("SELECT count(*) FROM known WHERE several").fetchone()[0])

    @property
    def example(self) -> str:
        """One of the names."""
        found = self._known.execute("SELECT name FROM known LIMIT 1").fetchone()
        return str(found[0]) if found else ""

    def of(self, recording_id: str, uri: str) -> str | None:
        """What was said in a whole recording."""
        return self._find(recording_id) or self._find(uri)

    def of_channel(self, recording_id: str, uri: str, channel: object) -> str | None:
        """What was said in one channel of it, where the file keeps channels apart."""
        return self._find(f"{recording_id}#{channel}") or self._find(f"{uri}#{channel}")

    def _find(self, name: str) -> str | None:
        found = self._known.execute("SELECT text FROM known WHERE name = ? AND NOT several", (name,)).fetchone()
        return str(found[0]) if found else None

    def _keep(self, each: Said) -> None:
        for name in each.names:
            self._known.execute(
                "INSERT INTO known (name, text) VALUES (?, ?)"
                " ON CONFLICT DO UPDATE SET several = several OR text != excluded.text",
                (f"{name}{each.channel}", each.text),
            )
