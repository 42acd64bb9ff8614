"""`steno score`: what an output says against what was said, for the corpus and for each recording, worst first.

A figure is only as good as its rule: which normalisation, which rows were left out, and why, stand beside it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import groupby

from jobs.destination import closed_file
from jobs.finished import Finished, opened
from jobs.options_tables import Score
from jobs.ranking import SCORED, Ranking, Scored
from jobs.references import References
from jobs.refusals import SetupError
from jobs.side_by_side import side_by_side
from jobs.table import aligned, clock
from jobs.table_files import write_table
from pipeline.latest import latest
from pipeline.log import visible
from pipeline.normalising import NORMALISATIONS, Normalisation
from pipeline.schema import EMPTY, OK
from pipeline.scoring import Edits, count_edits

__all__ = ["Score", "Scores", "score"]

COLUMNS = ["recording_id", "uri", "channel", "seconds", "status", "text", "confidence", "reference"]

Row = Mapping[str, object]


@dataclass
class Scores:
    """How far an output is from what was said."""

    output: str
    normalisation: str
    """The rule's name."""
    rule: str
    """What it does to both sides."""
    note: str = ""
    """That the output is not finished, where it is not."""
    missing_shards: int = 0
    rows: int = 0
    """That were scored."""
    seconds: float = 0.0
    """Of audio in them."""
    words: Edits = Edits()
    characters: Edits = Edits()
    """With the spaces between words."""
    without_reference: int = 0
    unread: int = 0
    """Rows with a reference that failed or were skipped."""
    shared: int = 0
    """Rows that are channels of a recording with one reference for all of them."""
    contradictory: int = 0
    """Names for which the file of references has several texts."""
    worst: list[Scored] = field(default_factory=list)

    def record(self) -> dict[str, object]:
        """For programs."""
        rates = {"wer": self.words.rate, "cer": self.characters.rate}
        worst = [dict(zip(SCORED.names, each.cells, strict=True)) for each in self.worst]
        return {**asdict(self), **rates, "worst": worst}

    def text(self) -> str:
        """For people."""
        return "\n\n".join(part for part in (self.note, self._head(), self._figures(), *self._worst()) if part)

    def _head(self) -> str:
        left = {
            f"{self.without_reference:,} without a reference": self.without_reference,
            f"{self.unread:,} that failed or were skipped": self.unread,
            f"{self.shared:,} channels with one reference for the whole recording": self.shared,
        }
        rows = [
            ("output", self.output),
            ("normalisation", f"{self.normalisation}: {self.rule}"),
            ("scored", f"{self.rows:,} rows, {clock(self.seconds)} of audio"),
            ("left out", ", ".join(said for said, count in left.items() if count) or "none"),
        ]
        if self.contradictory:
            rows.append(("not used", f"{self.contradictory:,} names for which the references have several texts"))
        return aligned(rows)

    def _figures(self) -> str:
        head = ("", "error rate", "substitutions", "deletions", "insertions", "of")
        both = {"words": self.words, "characters": self.characters}
        return aligned([head, *((name, *_cells(edits), f"{edits.length:,}") for name, edits in both.items())])

    def _worst(self) -> Iterator[str]:
        if not self.worst:
            return
        head = ("worst", "channel", "wer", "cer", "sub", "del", "ins", "words")
        yield aligned([head, *map(_line, self.worst)])
        apply = NORMALISATIONS[self.normalisation].apply
        for each in self.worst:
            if shown := side_by_side(apply(each.reference), apply(each.text)):
                yield "\n".join(map(visible, [_name(each), *shown.split("\n")]))


def score(options: Score) -> Scores:
    """Score an output; `SetupError` where there is nothing to score."""
    problems = options.flaws()
    if problems:
        raise SetupError(problems)
    output = opened(options.output)
    if output.textless:
        raise SetupError([f"{options.output} holds {output.textless}, and no text to hold against what was said"])
    if output.job == "align":
        raise SetupError([f"{options.output} holds references laid onto their audio: its text is what was said"])
    if options.to is not None and (shut := list(closed_file(options.to))):
        raise SetupError(shut)
    known = References(options.references) if options.references else None
    rule, ranking = NORMALISATIONS[options.normalisation], Ranking(options.by)
    found = Scores(options.output, rule.name, rule.says, output.note, output.missing)
    for scored in _scored(output, known, rule, found):
        ranking.add(scored)
        found.rows, found.seconds = found.rows + 1, found.seconds + scored.seconds
        found.words, found.characters = found.words + scored.words, found.characters + scored.characters
    if not found.rows:
        raise SetupError([_why(found, known, output)])
    found.worst = list(ranking.worst(options.worst))
    found.contradictory = known.contradictory if known else 0
    if options.to is not None:
        write_table(options.to, SCORED, ranking.tables())
    return found


def _scored(output: Finished, known: References | None, rule: Normalisation, found: Scores) -> Iterator[Scored]:
    for _, group in groupby(_rows(output), lambda row: row["recording_id"]):
        channels = list(group)
        for row in channels:
            reference, whole = _reference(row, known)
            if not reference or not rule.apply(reference):
                found.without_reference += 1
            elif row["status"] not in (OK, EMPTY):
                found.unread += 1
            elif whole and len(channels) > 1:
                found.shared += 1
            else:
                yield _one(row, reference, rule.apply)


def _rows(output: Finished) -> Iterator[Row]:
    for table in latest(output.store, COLUMNS):
        yield from table.to_pylist()


def _reference(row: Row, known: References | None) -> tuple[str, bool]:
    """What was said, and whether that is of the whole recording, whichever the channel."""
    if row["reference"] or known is None:
        return str(row["reference"] or ""), True
    name, uri = str(row["recording_id"]), str(row["uri"])
    of_channel = None if row["channel"] is None else known.of_channel(name, uri, row["channel"])
    return of_channel or known.of(name, uri) or "", of_channel is None


def _one(row: Row, reference: str, apply: Callable[[str], str]) -> Scored:
    text = str(row["text"] or "")
    said, read = apply(reference), apply(text)
    return Scored(
        recording_id=str(row["recording_id"]),
        channel=row["channel"] if isinstance(row["channel"], int) else None,
        seconds=float(str(row["seconds"] or 0.0)),
        status=str(row["status"]),
        confidence=row["confidence"] if isinstance(row["confidence"], float) else None,
        words=count_edits(said.split(), read.split()),
        characters=count_edits(said, read),
        reference=reference,
        text=text,
    )


def _why(found: Scores, known: References | None, output: Finished) -> str:
    """Why no row could be scored, and what to do."""
    if found.unread or found.shared:
        return (
            f"{found.output}: no row can be scored: of those with a reference {found.unread:,} failed or were skipped, "
            f"and {found.shared:,} are channels whose recording has one reference (name each `channel` in references)"
        )
    if known is None:
        return (
            f"{found.output} knows of no recording what was said: name a file that does, as in --references truth.tsv"
        )
    example = next(_rows(output))["recording_id"]
    return (
        f"references: none of its {len(known):,} names is a recording's: it names {known.example!r}, say, "
        f"and the output {example!r}"
    )


def _cells(edits: Edits) -> tuple[str, ...]:
    return (f"{edits.rate:.2%}", f"{edits.substitutions:,}", f"{edits.deletions:,}", f"{edits.insertions:,}")


def _line(scored: Scored) -> tuple[str, ...]:
    channel = "" if scored.channel is None else str(scored.channel)
    counts = (scored.words.substitutions, scored.words.deletions, scored.words.insertions, scored.words.length)
    rates = (f"{scored.words.rate:.1%}", f"{scored.characters.rate:.1%}")
    return (scored.recording_id, channel, *rates, *(f"{count:,}" for count in counts))


def _name(scored: Scored) -> str:
    return scored.recording_id if scored.channel is None else f"{scored.recording_id}, channel {scored.channel}"
