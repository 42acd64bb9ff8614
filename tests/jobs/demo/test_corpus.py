"""The corpus as it ships."""

import json
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.demo import recipe
from jobs.demo.grammar import is_held_out, vocabulary
from jobs.demo.keywords import KEYWORDS
from jobs.demo.recordings import heard, stored
from jobs.demo.speech import HELD_OUT_VARIANTS, SAMPLE_RATE
from jobs.demo.truth import Truth, read_truth

CORPUS = recipe.CORPUS
TRUTHS = read_truth(CORPUS)
SENTENCES = [truth for truth in TRUTHS if truth.kind not in ("call", "long", "keyword")]
MEGABYTE = 1_000_000


def files(folder: str) -> list[Path]:
    return sorted(path for path in (CORPUS / folder).rglob("*") if path.is_file())


def test_it_is_large_enough_to_show_and_small_enough_to_ship() -> None:
    recordings = {truth.id.partition("#")[0]: truth.seconds for truth in TRUTHS}
    assert len(recordings) >= 60
    assert sum(recordings.values()) >= 15 * 60
    assert sum(path.stat().st_size for path in files("")) <= 10 * MEGABYTE


def test_every_form_is_there() -> None:
    endings = Counter(path.suffix for path in files("loose"))
    assert set(endings) == {".flac", ".opus", ".mp3", ".wav", ".m4a"}
    assert [path.suffix for path in files("shards")] == [".tar"]
    assert [path.suffix for path in files("table")] == [".parquet"]
    assert (CORPUS / "manifest" / "manifest.jsonl").is_file()


def test_no_sentence_was_trained_on_nor_said_twice() -> None:
    said = [truth.text for truth in SENTENCES]
    assert all(map(is_held_out, said))
    assert len(set(said)) == len(said)


def test_voices_kinds_and_words_vary() -> None:
    voices = {truth.voice for truth in SENTENCES}
    assert len(voices) >= 12
    assert {voice.partition("+")[2] for voice in voices} >= set(HELD_OUT_VARIANTS)
    assert set(Counter(truth.kind for truth in SENTENCES)) == {"clean", "noise", "echo"}
    assert len({word for truth in TRUTHS for word, _, _ in truth.words}) >= 150
    assert {word for truth in TRUTHS for word, _, _ in truth.words} <= set(vocabulary())


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.id)
def test_words_spell_the_text_and_lie_inside_the_recording(truth: Truth) -> None:
    assert " ".join(word for word, _, _ in truth.words) == truth.text
    times = [time for _, start, end in truth.words for time in (start, end)]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= truth.seconds + 0.1


@pytest.mark.parametrize("truth", TRUTHS[::6], ids=lambda truth: truth.id)
def test_recordings_are_as_long_as_said_and_sound_where_words_are(truth: Truth) -> None:
    samples = heard(stored(CORPUS, truth))[truth.channel or 0]
    assert len(samples) == pytest.approx(truth.seconds * SAMPLE_RATE, abs=0.05 * SAMPLE_RATE)
    loud = np.zeros(len(samples), bool)
    for _, start, end in truth.words:
        loud[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = True
    inside, outside = np.square(samples[loud]).mean(), np.square(samples[~loud]).mean()
    assert inside > 4 * outside


@pytest.mark.parametrize("form", ["mp3", "m4a", "opus", "flac"])
def test_the_first_word_begins_where_silence_ends(form: str) -> None:
    lags = []
    for truth in [truth for truth in TRUTHS if truth.file.endswith(f".{form}") and truth.kind == "clean"]:
        samples = np.abs(heard(stored(CORPUS, truth))[0])
        onset = int(np.argmax(samples > 0.15 * samples.max())) / SAMPLE_RATE
        lags.append(onset - truth.words[0][1])
    assert len(lags) >= 2
    assert -0.01 < np.median(lags) < 0.08


def test_a_call_has_one_speaker_on_each_channel() -> None:
    sides = [truth for truth in TRUTHS if truth.kind == "call"]
    channels = heard(stored(CORPUS, sides[0]))
    assert [side.channel for side in sides] == [0, 1] == list(range(len(channels)))
    for mine, other in ((0, 1), (1, 0)):
        for _, start, end in sides[mine].words:
            piece = slice(round(start * SAMPLE_RATE), round(end * SAMPLE_RATE))
            assert np.square(channels[mine][piece]).sum() > 100 * np.square(channels[other][piece]).sum()


def test_one_recording_lasts_several_minutes() -> None:
    (diary,) = (truth for truth in TRUTHS if truth.kind == "long")
    assert diary.seconds > 4 * 60


def test_the_tar_and_the_table_and_the_manifest_carry_their_texts() -> None:
    told = {truth.id: truth.text for truth in TRUTHS}
    with tarfile.open(files("shards")[0]) as tar:
        for name in [name for name in tar.getnames() if name.endswith(".txt")]:
            file = tar.extractfile(name)
            assert file is not None
            assert told[f"shards/harbour-000000.tar/{name.replace('.txt', '.opus')}"] == file.read().decode()
    table = files("table")[0]
    for row in pq.read_table(table).to_pylist():
        assert told[f"table/{table.name}/{row['audio']['path']}"] == row["text"]
    for line in (CORPUS / "manifest" / "manifest.jsonl").read_text().splitlines():
        entry = json.loads(line)
        assert told[f"manifest/{entry['audio_filepath']}"] == entry["text"]
        assert (CORPUS / "manifest" / entry["audio_filepath"]).is_file()


def test_keywords_are_single_words_of_voices_not_heard_in_training() -> None:
    clips = [truth for truth in TRUTHS if truth.kind == "keyword"]
    assert Counter(clip.text for clip in clips) == dict.fromkeys(KEYWORDS, 2)
    assert {clip.voice.partition("+")[2] for clip in clips} <= set(HELD_OUT_VARIANTS)


@pytest.mark.parametrize(
    ("name", "reason"), [("truncated.wav", "breaks off"), ("letter.flac", "no audio"), ("empty.flac", "no bytes")]
)
def test_broken_files_are_really_broken(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        heard((CORPUS / "broken" / name).read_bytes())
    assert len(files("broken")) == 3
