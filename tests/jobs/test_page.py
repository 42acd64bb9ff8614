"""The page as a browser shows it: at every width, in both themes, played by a click, and deaf to what it holds."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from jobs import Reporting, report
from tests.browser import Page, browser, chromium
from tests.jobs.finished import spoken
from tests.jobs.finished import write_output as finished
from tests.jobs.outputs import words, write_output

pytestmark = pytest.mark.browser

HOSTILE = "<script>document.title='owned'</script>"
QUOTED = '"><img src=x onerror="document.title=\'owned\'">'


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A headless Chromium; a skip where there is none, unless it is required."""
    program = chromium()
    if program is None:
        required = "browser" in os.environ.get("STENOPOOL_REQUIRE", "").split(",")
        (pytest.fail if required else pytest.skip)(
            "no Chromium: apt-get install chromium, or STENOPOOL_CHROMIUM=program"
        )
    with browser(program, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page about recordings of which one is long, one cannot be read, and all say what they should not."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "in").mkdir()
    for name, seconds in (("short", 4), ("long", 150), ("lost", 1)):
        soundfile.write(folder / "in" / f"{name}.flac", 0.3 * np.sin(np.arange(16_000 * seconds) * 0.05), 16_000)
    spoken = [(f"word{at}", at, at + 0.75, 0.1 if at == 100 else 0.8) for at in range(150)]
    rows = {
        "short": {"seconds": 4.0, "text": HOSTILE, "wer": 1.5, "cer": 0.9, "reference": QUOTED, "confidence": 0.4,
                  "segments": words((HOSTILE, 0.5, 1.0, 0.1), (QUOTED, 1.0, 2.0, 0.5), ("three", 2.5, 3.0, 0.99))},
        "long": {"seconds": 150.0, "text": "long", "confidence": 0.5, "segments": words(*spoken)},
        "lost": {"status": "failed", "error": {"class": HOSTILE, "stage": "audio", "message": QUOTED}},
    }  # fmt: skip
    output = write_output(folder / "out", [folder / "in"], rows, {"channels": "mix", "note": HOSTILE})
    return Path(report(Reporting(output)).page)


@pytest.fixture(scope="module")
def silent(html: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without audio."""
    page = tmp_path_factory.mktemp("silent") / "page.html"
    return Path(report(Reporting(str(html.parent), to=str(page), audio_megabytes=0)).page)


@pytest.mark.parametrize("width", [1400, 820, 390, 320])
def test_nothing_is_wider_than_the_screen(width: int, tab: Page, html: Path) -> None:
    tab.open(html, width)
    assert tab.value("document.documentElement.scrollWidth") == width
    assert tab.value("document.querySelector('.figures').getBoundingClientRect().width") > 0.85 * min(width, 1100)


def test_what_was_said_stays_text(tab: Page, html: Path) -> None:
    tab.open(html, 1400)
    assert "owned" not in str(tab.value("document.title"))
    assert tab.value("document.scripts.length") == 1
    assert tab.value("document.images.length") == 0
    read = str(tab.value("document.querySelector('.recording dd').textContent"))
    assert HOSTILE in read and QUOTED in read
    assert HOSTILE in str(tab.value("document.querySelector('.failures').textContent"))
    assert QUOTED in str(tab.value("document.querySelectorAll('.spot')[1].title"))


def test_nothing_is_fetched_and_nothing_goes_wrong(tab: Page, html: Path) -> None:
    tab.events.clear()
    tab.open(html, 1400)
    tab.until("[...document.querySelectorAll('audio')].every((audio) => audio.readyState >= 1)")
    urls = [str(event["request"]["url"]) for event in tab.told("Network.requestWillBeSent")]  # type: ignore[index]
    assert html.resolve().as_uri() in urls
    assert all(url.startswith(("file:", "data:")) for url in urls)
    assert [url for url in urls if url.startswith("file:")] == [html.resolve().as_uri()]
    assert tab.told("Runtime.exceptionThrown") == tab.told("Log.entryAdded") == []


def test_a_click_on_a_word_plays_from_there(tab: Page, html: Path) -> None:
    tab.open(html, 1400)
    tab.until("document.querySelector('audio').readyState >= 1")
    assert tab.value("document.querySelector('audio').duration") == pytest.approx(4.0, abs=0.01)
    for kind in ("spot", "word"):
        tab.value("document.querySelector('audio').pause()")
        clicked = f"document.querySelectorAll('.{kind}')[2].click(), document.querySelector('audio').currentTime"
        assert tab.value(clicked) == pytest.approx(2.5, abs=0.01)
        tab.until("!document.querySelector('audio').paused")
        tab.until("document.querySelector('.word.now')?.textContent === 'three'")
        assert tab.value("document.querySelector('.spot.now').textContent.trim()") == "three"


def test_a_word_of_a_long_recording_plays_where_it_is_in_the_part_that_is_shown(tab: Page, html: Path) -> None:
    tab.open(html, 1400)
    long = "document.querySelectorAll('.recording')[1]"
    tab.until(f"{long}.querySelector('audio').readyState >= 1")
    assert tab.value(f"{long}.querySelector('audio').duration") == pytest.approx(60.0, abs=0.01)
    spot = f"[...{long}.querySelectorAll('.spot')].find((spot) => spot.textContent.trim() === 'word100')"
    clicked = f"{spot}.click(), {long}.querySelector('audio').currentTime"
    assert tab.value(clicked) == pytest.approx(100 - 70.125, abs=0.6), (
        "half a minute before it is where the part begins"
    )
    assert str(tab.value(f"{long}.querySelector('.lead').textContent")).startswith("From 1 min 10 s to 2 min 10 s")


def test_what_can_be_played_has_a_name_and_what_cannot_is_no_button(tab: Page, html: Path, silent: Path) -> None:
    buttons, promised = "document.querySelectorAll('.recording button').length", "A click on a word plays from there."
    tab.open(html, 1400)
    names = tab.value("[...document.querySelectorAll('audio')].map((audio) => audio.ariaLabel)")
    assert names == ["in/short.flac", "in/long.flac"]
    played, spots = tab.value(buttons), tab.value("document.querySelectorAll('.spot').length")
    assert played == spots and promised in str(tab.value("document.body.textContent"))
    tab.open(silent, 1400)
    assert tab.value("document.querySelectorAll('.spot').length") == spots
    assert tab.value(buttons) == tab.value("document.querySelectorAll('audio').length") == 0
    assert promised not in str(tab.value("document.body.textContent"))
    cursors = tab.value("[...document.querySelectorAll('.spot, .word')].map((word) => getComputedStyle(word).cursor)")
    assert isinstance(cursors, list) and "pointer" not in cursors


def test_a_drawing_says_what_it_shows(tab: Page, html: Path) -> None:
    tab.open(html, 1400)
    drawn = "[...document.querySelectorAll('figure svg')].map((svg) => `${svg.role}: ${svg.ariaLabel}`)"
    told = tab.value(drawn)
    assert isinstance(told, list) and told[:3] == [
        "img: from 30 to 30 times real time",
        "img: models waited 25% to 25% of their time, readers 50% to 50%",
        "img: bars from 4 s to 2 min, the highest at 4 s: 1",
    ]
    assert all(len(each) > len("img: ") for each in told)


@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_a_page_is_whole_however_many_rows_there_are(count: int, tab: Page, tmp_path: Path) -> None:
    rows = [spoken(f"call-{number}", "one two", confidence=number % 100 / 100) for number in range(count)]
    page = Path(report(Reporting(finished(tmp_path / "out", [rows]))).page)
    assert page.stat().st_size < 1_000_000
    tab.events.clear()
    tab.open(page, 390)
    assert tab.value("document.querySelector('.figure .value').textContent") == f"{count:,}"
    legend = "[...document.querySelectorAll('.legend:not(.bands) span')].map((part) => part.textContent)"
    assert tab.value(legend) == [f"{count:,} ok", "0 empty", "0 skipped", "0 failed"]
    assert tab.value("document.querySelectorAll('.recording').length") == min(count, 10)
    assert tab.value("document.documentElement.scrollWidth") == 390
    assert tab.told("Runtime.exceptionThrown") == tab.told("Log.entryAdded") == []


def test_words_have_the_colours_of_their_confidence(tab: Page, html: Path) -> None:
    tab.open(html, 1400)
    colours = tab.value("[...document.querySelectorAll('.recording')[0].querySelectorAll('.spot i')]"
                        ".map((bar) => getComputedStyle(bar).backgroundColor)")  # fmt: skip
    assert isinstance(colours, list)
    assert len(set(colours)) == 3, "three words of 0.1, 0.5 and 0.99"


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read_in_both_themes(dark: bool, tab: Page, html: Path) -> None:
    tab.open(html, 1400, dark=dark)
    paper, ink = (
        luminance(str(tab.value(f"getComputedStyle(document.body).{name}"))) for name in ("backgroundColor", "color")
    )
    assert (paper < ink) == dark
    assert contrast(paper, ink) > 7
    soft = luminance(str(tab.value("getComputedStyle(document.querySelector('.figure .name')).color")))
    assert contrast(paper, soft) > 4.5
    tick = luminance(str(tab.value("getComputedStyle(document.querySelector('figure svg text')).fill")))
    assert contrast(paper, tick) > 4.5, "a drawing takes the theme's colours"
    for spot in range(3):
        here = f"document.querySelectorAll('.spot')[{spot}]"
        ink = luminance(str(tab.value(f"getComputedStyle({here}).color")))
        bar = luminance(str(tab.value(f"getComputedStyle({here}.querySelector('i')).backgroundColor")))
        assert contrast(bar, ink) > 4.5


def test_a_table_is_sorted_by_a_click_on_its_head(tab: Page, html: Path) -> None:
    tab.open(html, 1400)
    tab.value("document.querySelector('.sortable tbody').insertAdjacentHTML('beforeend', "
              "'<tr><td>aaa<td><td data-by=99>99<td><td><td><td><td><td>')")  # fmt: skip
    cells = "[...document.querySelectorAll('.sortable tbody')[0].rows].map((row) => row.cells[2].dataset.by)"
    tab.value("document.querySelectorAll('.sortable th')[2].click()")
    assert tab.value(cells) == ["3", "99"]
    tab.value("document.querySelectorAll('.sortable th')[2].click()")
    assert tab.value(cells) == ["99", "3"]
    tab.value("document.querySelectorAll('.sortable th')[2].querySelector('button').focus()")
    for key, order in ((" ", ["3", "99"]), ("\r", ["99", "3"])):
        for kind in ("keyDown", "keyUp"):
            told = {"key": "Enter" if key == "\r" else key, "text": key, "windowsVirtualKeyCode": ord(key)}
            tab.ask("Input.dispatchKeyEvent", type=kind, **told)
        assert tab.value(cells) == order
    assert tab.value("document.querySelectorAll('.sortable th')[2].ariaSort") == "descending"


def luminance(colour: str) -> float:
    """Of `rgb(r, g, b)`, as WCAG defines it."""
    parts = [float(part) / 255 for part in colour.removeprefix("rgb(").rstrip(")").split(",")[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: float, other: float) -> float:
    """As WCAG defines it: 4.5 is the least for text."""
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
