"""`steno report`: what a page says is what the table holds, and what it lets be heard is what was transcribed."""

import base64
import io
import json
import os
import re
import shutil
from html import unescape
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from jobs import Reporting, SetupError, report
from jobs.cli import main
from jobs.exits import FINE, UNUSABLE
from jobs.page.comparison import compared
from jobs.page.timeline import LONGEST, Word, band, line
from pipeline.output import record_run
from pipeline.storage import Store
from tests.jobs.finished import spoken
from tests.jobs.finished import write_output as unfinished
from tests.jobs.outputs import RUN, record, words, write_output

DEMO = Path(__file__).parents[2] / "jobs" / "demo" / "corpus"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number, name in enumerate(("right", "wrong", "lost", "stereo")):
        tones = 0.4 * np.sin(np.arange(48_000) * (0.02 + 0.03 * number))
        samples = np.stack([tones, -0.5 * tones], 1) if name == "stereo" else tones
        soundfile.write(folder / f"{name}.wav", samples, 16_000)
    return folder


@pytest.fixture
def output(corpus: Path, tmp_path: Path) -> str:
    sure, unsure = ("hello", 0.5, 1.0, 0.97), ("wold", 1.25, 1.75, 0.2)
    told = {"seconds": 3.0, "reference": "hello world", "channel": 0}
    rows = {
        "right": {**told, "text": "hello world", "wer": 0.0, "cer": 0.0, "confidence": 0.97, "segments": words(sure)},
        "wrong": {**told, "text": "hello wold", "wer": 0.5, "cer": 0.1, "confidence": 0.2,
                  "segments": words(sure, unsure)},
        "lost": {"status": "failed", "error": {"class": "Truncated", "stage": "audio", "message": "it breaks off"}},
        "stereo": {"seconds": 3.0, "text": "hello", "confidence": 0.5, "segments": words(sure), "channel": 1},
    }  # fmt: skip
    return write_output(tmp_path / "out", [corpus], rows, {"channels": "each"})


def page(output: str, *options: str) -> str:
    """The page that the command line writes."""
    assert main(["report", output, *options]) == FINE
    return (Path(output) / "report.html").read_text()


def plain(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_the_figures_are_the_tables(output: str) -> None:
    said = plain(page(output))
    assert "Rows 4 the whole table" in said
    assert "3 ok 0 empty 0 skipped 1 failed" in said
    assert "Word error rate 25.0% 4 words have a reference" in said
    assert "Confidence 0.56 on average" in said
    assert "Speed 22.5× real time, in 20 s, set-up included; of the newest run" in said
    assert "Padding 10.0% of what models heard; models waited 25% of their time; of the newest run" in said
    assert "Truncated failed audio 1" in said and "it breaks off" in said


def test_the_charts_are_those_of_the_run_and_of_its_rows(output: str) -> None:
    written = page(output)
    drawn = re.findall(r"<figcaption><b>([^<]+)</b>.*?(<svg .*?</svg>)", written, re.DOTALL)
    titles = [title for title, _ in drawn]
    assert titles[:2] == ["Speed over time", "Idle share of the pools"]
    rates = ["Word error rate", "Character error rate"]
    assert titles[2:] == ["Length", "Confidence", *rates, "Whether confidence is true"]
    assert all("<path" in drawing for _, drawing in drawn)
    told = plain(written)
    assert "3 recordings, 3.0 s on average" in told
    assert "Of 2 rows with a reference; 50% are exactly right" in told
    assert "it is off by 16.5% on average" in told, "two words right at 0.97, one of two at 0.2"


@pytest.mark.parametrize(("cost", "said"), [(12.5, "12.50 100"), (0.00025, "0.00025 0.002"), (0.0, "0 0")])
def test_a_run_that_knows_prices_says_what_it_cost(cost: float, said: str, output: str) -> None:
    record_run(Store(output), RUN, {**record({"ok": 3, "failed": 1}), "cost": cost})
    assert f"Cost {said} for an hour of audio, in the given prices' unit; of the n" in unescape(plain(page(output)))


def test_the_runs_are_listed_with_what_they_cost_together(output: str) -> None:
    assert "cost" not in plain(page(output))
    stopped, loading, free = (f"2026010{day}T000000Z-stopped" for day in (3, 2, 1))
    wrote = {"counts": {"ok": 1}, "audio_seconds": 60.0, "wall_seconds": 6.0}
    for name, more in ((stopped, {**wrote, "cost": 1.5}), (loading, {"cost": 1.5}), (free, wrote), ("held", {})):
        record_run(Store(output), name, {"run_id": name, "ended": "interrupted", **more})
    record_run(Store(output), RUN, {**record({"ok": 3, "failed": 1}), "cost": 1250.0})
    html = page(output)
    listed = [plain(line).split() for line in html.splitlines() if "<td><code>" in line]
    assert [(line[0], line[-1]) for line in listed] == [
        (stopped, "1.50"),
        (RUN, "1,250.00"),
        (loading, "1.50"),
        (free, "–"),
    ]
    assert ["interrupted" in line for line in listed] == [True, False, True, True]
    assert "all runs 1,253.00" in plain(html)
    assert f"Run {stopped} was too short" in plain(html)


def test_the_worst_are_shown_worst_first_with_what_was_said(output: str) -> None:
    html = page(output)
    shown = re.findall(r'class="id">([^< ]*)', html)
    assert [Path(name).stem for name in shown] == ["wrong", "stereo", "right"]
    first = html.split('class="recording"')[1]
    assert '<span class="other">world</span>' in first
    assert re.search(r'class="spot [^"]*b0 wrong"[^>]*title="wold: 1.25 to 1.75 s, confidence 0.20"', first)


def test_the_audio_of_a_page_is_the_channel_that_was_heard(output: str, corpus: Path) -> None:
    played = re.findall(r'src="data:audio/flac;base64,([^"]*)"', page(output))
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(played[1])))
    wanted, _ = soundfile.read(corpus / "stereo.wav")
    assert (rate, len(played)) == (16_000, 3)
    np.testing.assert_allclose(heard, wanted[:, 1], atol=2e-4)


def test_a_member_of_a_tar_and_a_row_of_a_table_can_be_heard(tmp_path: Path) -> None:
    from jobs.page.listening import Listening, Wanted, rules
    from pipeline.output import add_generation
    from pipeline.plan import plan
    from pipeline.planfile import read_plan, write_plan
    from pipeline.sources import recordings
    from pipeline.storage import Store

    file = io.BytesIO()
    write_plan(plan([str(DEMO / "shards"), str(DEMO / "table")]), file)
    store = Store(str(tmp_path / "out"))
    add_generation(store, 1, file.getvalue())
    for planned in read_plan(file):
        last = list(recordings(planned))[-1]
        sound = Listening(store, rules("mix"), 1e6).hear(Wanted(last.recording_id, None, last.uri, 0.5, 1.0))
        samples, _ = soundfile.read(io.BytesIO(base64.b64decode(sound.source.split(",")[1])))
        assert len(samples) == 16_000
        assert sound.bars > 100


@pytest.mark.parametrize(
    ("options", "said"), [(("--audio-megabytes", "0"), "--audio-megabytes makes room"), ((), "is not where it was")]
)
def test_what_cannot_be_heard_says_why(options: tuple[str, ...], said: str, output: str, corpus: Path) -> None:
    if not options:
        shutil.rmtree(corpus)
    html = page(output, *options)
    assert "data:audio" not in html
    assert html.count(said) == 3


def test_nothing_in_a_page_comes_from_elsewhere(output: str) -> None:
    html = unescape(page(output))
    fetched = re.findall(r'(?:src|href|action)="([^"]*)"|url\(([^)]*)\)|@import', html)
    assert all(inside.startswith(("data:", "#")) for pair in fetched for inside in pair if inside)
    assert "default-src 'none'" in html


def test_one_run_is_reported_beside_its_record(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", output, "--run", RUN, "--json"]) == FINE
    told = json.loads(capsys.readouterr().out)
    assert told["page"] == f"{output}/runs/{RUN}.html"
    assert told["rows"] == 4
    html = Path(told["page"]).read_text()
    assert f"written by run {RUN}" in html and "the newest run" not in html


def test_rows_of_a_run_that_left_no_record_can_be_shown(tmp_path: Path) -> None:
    killed = unfinished(tmp_path / "out", [[spoken("a", "one"), spoken("b", "two")]])
    assert report(Reporting(killed, run="run")).rows == 2


def test_what_cannot_be_reported_is_told(output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", output, "--run", "another"]) == UNUSABLE
    assert f"runs that did: {RUN}" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "nothing")]) == UNUSABLE
    assert "holds no output of steno" in capsys.readouterr().err
    with pytest.raises(SetupError, match="audio_megabytes is -1"):
        report(Reporting(output, audio_megabytes=-1))


def test_a_page_about_an_unfinished_output_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = unfinished(tmp_path / "out", [[spoken("a", "one")]], missing=2)
    html = plain(page(output))
    said = "The output is not finished: 2 of 3 shards are missing."
    assert said in html
    assert said in capsys.readouterr().out
    empty = unfinished(tmp_path / "empty", [], missing=1)
    assert main(["report", empty]) == UNUSABLE
    assert "has no rows yet: 1 shard is planned, and none is done" in capsys.readouterr().err


def test_a_page_can_be_written_elsewhere(output: str, tmp_path: Path) -> None:
    assert report(Reporting(output, to=str(tmp_path / "page.html"))).rows == 4
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_a_long_recording_is_shown_around_its_least_sure_word() -> None:
    spoken = [Word(f"w{at}", at, at + 0.5, 0.1 if at == 400 else 0.9) for at in range(600)]
    shown = line(spoken, 600.0)
    assert shown.begin < 400 < shown.end
    assert shown.seconds == LONGEST
    spots = list(shown.spots(()))
    assert "w400" in [spot.text for spot in spots]
    assert all(0 <= spot.left <= 100 and 0 <= spot.left + spot.room <= 100.01 for spot in spots)
    assert all(left.left < right.left for left, right in pairwise(spots))


@pytest.mark.parametrize(("sure", "colour"), [(0.0, 0), (0.25, 1), (0.74, 2), (0.9, 4), (1.0, 4), (None, 5)])
def test_a_confidence_has_one_colour(sure: float | None, colour: int) -> None:
    assert band(sure) == colour


def test_words_are_compared_as_they_are_scored() -> None:
    versus = compared("Don't go there, now", ["dont", "go", "their", "own"])
    assert [fate for _, fate in versus.said] == ["right", "right", "other", "other"]
    assert versus.wrong == (False, False, True, True)
    assert compared("one two", ["two"]).said == (("one", "missing"), ("two", "right"))


def test_the_page_goes_wherever_a_table_may_go(output: str, tmp_path: Path, moto_s3: str) -> None:
    for place in (str(tmp_path / "new" / "folder" / "page.html"), f"{moto_s3}/page.html"):
        assert main(["report", output, "--to", place]) == FINE
        folder, _, name = place.rpartition("/")
        assert Store(folder).read(name).startswith(b"<!doctype html>")
        assert [entry.uri for entry in Store(folder).names()] == [name]
    assert os.listdir(tmp_path / "new" / "folder") == ["page.html"], "what was tried is gone"


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("file/page.html", "to: {}/file: "),
        ("out", "to: {}/out is a folder: name the file in it"),
        ("s3://bucket", "to: s3://bucket is a bucket: name the file in it"),
        ("ftp://there/page.html", "to: ftp://there/page.html: ftp:// is not opened"),
    ],
)
def test_a_page_that_cannot_be_written_is_told_before_the_work(
    to: str,
    said: str,
    output: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("jobs.reporting.survey", lambda *_: pytest.fail("it began to work"))
    place = to if "://" in to else str(tmp_path / to)
    assert main(["report", output, "--to", place]) == UNUSABLE
    complaint = capsys.readouterr().err
    assert complaint.startswith("steno: " + said.format(tmp_path)) and complaint.count("\n") == 1
