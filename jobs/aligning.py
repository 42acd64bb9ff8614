"""`steno align`: when each word of a known text is said, and what the text costs."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from jobs.options_heads import Align
from jobs.planning import Once, rules
from jobs.refusals import Problem
from jobs.work import Report, carry_out
from pipeline.aligning import Aligning
from pipeline.inputs.rows import Row, unpacked
from pipeline.knocking import knock
from pipeline.latest import by_shard
from pipeline.output import generations
from pipeline.plan import plan
from pipeline.references import NONE, References, ReferencesError
from pipeline.storage import Store, StoreError
from pipeline.tally import Watch

__all__ = ["Align", "align"]


def align(options: Align, watch: Watch | None = None) -> Report:
    """Do what is planned and not done; `SetupError` says why nothing could start."""
    return carry_out(options, task(options), watch, planning(options))


def task(options: Align) -> Aligning:
    """What is made of each batch."""
    return Aligning(References(options.references), options.longest_hours, options.delay_seconds)


def planning(options: Align) -> "Referenced":
    """What is aligned: everything once, and texts for some of it."""
    return Referenced(options, References(options.references))


@dataclass(frozen=True)
class Referenced(Once):
    """Everything once, held against the file of texts before anything starts."""

    references: References

    def flaws(self, store: Store | None) -> list[Problem]:
        """What is wrong with the inputs, or that the file knows none of their recordings."""
        found = super().flaws(store)
        if found or self.references.file is None or (store and generations(store)):
            return found
        return list(self._strange())

    def _strange(self) -> Iterator[str]:
        """That no name is a recording's; what a tar or a Parquet file holds may be named, for all that is known yet."""
        try:
            knock(str(self.references.file))
            texts, example = self.references.known().texts, None
            for table in plan(self.inputs, rules(self.options)):
                for _, row in unpacked(table):
                    if row.recording_id is None or self._named(row):
                        return
                    example = example or row.recording_id
        except (ReferencesError, StoreError):  # which the task tells
            return
        if example is not None:
            yield (
                f"references: none of its {len(texts):,} names is a recording's: it names {next(iter(texts))!r}, say, "
                f"and the inputs {example!r}"
            )

    def _named(self, row: Row) -> bool:
        whole = not row.begin and row.duration is None
        found = self.references.named(str(row.recording_id), row.uri if whole else None, row.channel)
        return found is not None


def unsaid(options: Align) -> str:
    """What to say of a table in which nothing was aligned, as no recording had a text; nothing of any other."""
    reason = ""
    with suppress(StoreError):  # the table is whole all the same
        for _, rows in by_shard(Store(options.output), ["recording_id", "error"]):
            for row in rows.to_pylist():
                if row["error"] is None or row["error"]["class"] != NONE.kind:
                    return ""
                reason = reason or f"{row['recording_id']!r}, for example: {row['error']['message']}"
    return f"nothing was aligned, as no recording has a text ({reason})" if reason else ""
