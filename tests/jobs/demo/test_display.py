"""What the demo shows of its table, without running it."""

import re
from dataclasses import replace

from jobs.demo.__main__ import FORMS, transcripts
from jobs.demo.recipe import CORPUS
from jobs.demo.truth import read_truth
from jobs.outcome import Outcome
from jobs.summary import summary
from jobs.work import Report

RUN = Report(
    run_id="run",
    job="Transcribe",
    output="out",
    counts={"ok": 1},
    shards=1,
    audio_seconds=100.0,
    wall_seconds=10.0,
    padding=0.0,
    passes=1,
    storage="",
)
TABLE = Outcome({"ok": 1}, 100.0, 1, (), ())


def heard(spoiled: str) -> list[dict[str, object]]:
    """The corpus's rows as a checkpoint would make them that errs in one recording alone."""
    return [
        {
            "recording_id": truth.id,
            "channel": truth.channel,
            "uri": f"/{truth.file}",
            "status": "ok",
            "seconds": truth.seconds,
            "reference": truth.text,
            "text": f"wrongly {truth.text}" if truth.id == spoiled else truth.text,
            "segments": [{"words": [{"start": start, "end": end} for _, start, end in truth.words]}],
            **dict.fromkeys(("labels", "embedding", "units")),
        }
        for truth in read_truth(CORPUS)
        if truth.file.partition("/")[0] in FORMS
    ]


def test_of_every_form_the_first_and_the_worst_are_shown_with_times_and_rates() -> None:
    worst = next(truth for truth in read_truth(CORPUS) if truth.id.startswith("shards/") and "0007" in truth.id)
    head, *lines = [re.split(r" {2,}", line) for line in transcripts(heard(worst.id)).splitlines()]
    assert head == ["recording", "from s", "to s", "error rate", "text"]
    assert len(lines) == 2 * (len(FORMS) - 1)
    (wrong,) = ([name, *cells] for name, *cells in lines if name == worst.id)
    assert wrong[1:4] == [f"{worst.words[0][1]:.2f}", f"{worst.words[-1][2]:.2f}", f"{100 / len(worst.words):.1f}%"]
    assert all(cells[3] == "0.0%" for cells in lines if cells[0] != worst.id)


def test_what_was_heard_is_told_where_it_is_more_than_there_is() -> None:
    assert "Models heard 1 min 45 s" in summary(replace(RUN, heard_seconds=105.0), TABLE)
    assert "Models heard" not in summary(replace(RUN, heard_seconds=100.2), TABLE)
