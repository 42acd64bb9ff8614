"""Bad data is one failed row each, and its neighbours are read as if it were not there."""

import gzip
import os
import socket
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.inputs.found import PlanRules
from pipeline.storage import open_input
from pipeline.stores.disk import Disk
from pipeline.stores.errors import StoreError
from pipeline.stores.place import Part
from tests.pipeline.corpora import by_id, clip, jsonl, kinds, read, shar, tarred, written

BAD_LINES: dict[str, tuple[object, str]] = {
    "not json": (b"{audio_filepath: 1}", "NotJson"),
    "a list": ([1, 2], "NotJson"),
    "nested too deep": (b"[" * 100_000, "NotJson"),
    "nested deep, but readable": (b'{"audio_filepath": "good.wav", "x": ' + b"[" * 300 + b"]" * 300 + b"}", "NotJson"),
    "not utf-8": (b'{"audio_filepath": "\xff.wav"}', "NotText"),
    "half a surrogate": (b'{"audio_filepath": "\\ud800.wav"}', "NoAudio"),
    "no name": ({"text": "x"}, "NoAudio"),
    "an empty name": ({"audio_filepath": " "}, "BadPath"),
    "a number": ({"audio_filepath": 5}, "NoAudio"),
    "above the root": ({"audio_filepath": "../good.wav"}, "OutsideRoot"),
    "above the root, from below": ({"audio_filepath": "a/../../good.wav"}, "OutsideRoot"),
    "another folder": ({"audio_filepath": "/etc/passwd"}, "OutsideRoot"),
    "a file by its address": ({"audio_filepath": "file:///etc/passwd"}, "OutsideRoot"),
    "a folder that begins like the root": ({"audio_filepath": "{root}-else/good.wav"}, "OutsideRoot"),
    "above the root, past a part without a name": ({"audio_filepath": "a//../../good.wav"}, "OutsideRoot"),
    "another bucket": ({"audio_filepath": "s3://elsewhere/x.wav"}, "OutsideRoot"),
    "a web address": ({"audio_filepath": "http://169.254.169.254/latest"}, "BadScheme"),
    "a chained scheme": ({"audio_filepath": "simplecache::s3://b/x.wav"}, "BadScheme"),
    "a command": ({"audio_filepath": "touch {root}/ran |"}, "PipedCommand"),
    "a command before": ({"audio_filepath": "| touch {root}/ran"}, "PipedCommand"),
    "a NUL": ({"audio_filepath": "a\0.wav"}, "BadPath"),
    "a line break": ({"audio_filepath": "a\n.wav"}, "BadPath"),
    "missing audio": ({"audio_filepath": "gone.wav"}, "NotFound"),
    "a folder, not a file": ({"audio_filepath": "folder"}, "Unsupported"),
    "a time before zero": ({"audio_filepath": "good.wav", "offset": -1}, "BadTime"),
    "no time at all": (b'{"audio_filepath": "good.wav", "offset": NaN}', "BadTime"),
    "an endless time": (b'{"audio_filepath": "good.wav", "offset": 0, "duration": 1e999}', "BadTime"),
    "a word for a time": ({"audio_filepath": "good.wav", "offset": "soon"}, "BadTime"),
}


@pytest.mark.parametrize("poison", BAD_LINES)
def test_a_bad_line_of_a_manifest_is_one_failed_row(tmp_path: Path, poison: str) -> None:
    line, kind = BAD_LINES[poison]
    root = tmp_path / "corpus"
    good = {"audio_filepath": "good.wav", "text": "fine"}
    lines = jsonl([good, line, good | {"offset": 0}]).replace(b"{root}", str(root).encode())
    written(root, {"m.jsonl": lines, "good.wav": clip(1), "folder/x": b"", "../good.wav": b"outside"})
    found = read(root / "m.jsonl")
    assert kinds(found) == [None, kind, None]
    assert found[0].audio == found[2].audio == clip(1)
    assert found[1].failure is not None and found[1].failure.message
    assert not (root / "ran").exists()


def test_a_named_folder_may_be_pointed_into(tmp_path: Path) -> None:
    lines = jsonl([{"audio_filepath": str(tmp_path / "audio/1.wav")}, {"audio_filepath": "../audio/1.wav"}])
    written(tmp_path, {"lists/m.json": lines, "audio/1.wav": clip(1)})
    assert kinds(read(tmp_path / "lists/m.json")) == ["OutsideRoot", "OutsideRoot"]
    found = read(tmp_path / "lists/m.json", rules=PlanRules(roots=(str(tmp_path / "audio"),)))
    assert [each.audio for each in found] == [clip(1), clip(1)]
    written(tmp_path, {"lists/n.json": jsonl([{"audio_filepath": f"/{tmp_path}/audio//1.wav"}])})
    assert kinds(read(tmp_path / "lists/n.json", rules=PlanRules(roots=(str(tmp_path / "audio"),)))) == [None]


def test_a_compressed_manifest_that_ends_too_early_says_so_after_what_was_read(tmp_path: Path) -> None:
    lines = [{"audio_filepath": "1.wav", "offset": n, "salt": os.urandom(40).hex()} for n in range(500)]
    packed = gzip.compress(jsonl(lines))
    written(tmp_path, {"m.json.gz": packed[: len(packed) // 2], "1.wav": clip(1)})
    found = read(tmp_path / "m.json.gz")
    assert 100 < len(found) < 400
    assert kinds(found) == [None] * (len(found) - 1) + ["Truncated"]


def test_the_second_of_an_id_keeps_its_row_under_a_name_of_its_own(tmp_path: Path) -> None:
    lines = [{"audio_filepath": "1.wav", "text": text} for text in ("a", "b", "b", "b")]
    found = by_id(read(written(tmp_path, {"manifest.json": jsonl(lines), "1.wav": clip(1)})))
    assert [each.reference for each in found.values()] == ["a", "b", "b", "b"]
    assert next(iter(found)) == "1.wav" and all(name.startswith("1.wav") for name in found)
    again = by_id(read(written(tmp_path, {"manifest.json": jsonl([lines[0], lines[1]])})))
    assert list(again) == list(found)[:2]


def test_two_inputs_of_one_name_keep_all_their_recordings(tmp_path: Path) -> None:
    for side in ("x", "y"):
        audio = {"audio": [clip(n) for n in range(6)]}
        written(tmp_path / side / "set", {"a.wav": clip(1), "t.tar": tarred([(f"{n}.wav", clip(n)) for n in range(9)])})
        pq.write_table(pa.table(audio), tmp_path / side / "set/p.parquet", row_group_size=3 if side == "x" else 2)
    inputs = [tmp_path / "x/set", tmp_path / "y/set", tmp_path / "y/set"]
    for rules in (PlanRules(), PlanRules(parquet_bytes=1, tar_bytes=9000)):
        found = by_id(read(*inputs, rules=rules))
        assert len(found) == 3 * (1 + 9 + 6)
        assert list(by_id(read(*inputs, rules=rules))) == list(found)


def test_a_name_that_is_not_utf_8_is_spelled_out(tmp_path: Path) -> None:
    folder = written(tmp_path / "c", {"a.wav": clip(1), "z.wav": clip(3)})
    with open(os.fsencode(folder) + b"/m\xff\xfe.wav", "wb") as file:
        file.write(clip(2))
    found = read(folder)
    assert [each.recording_id for each in found] == ["c/a.wav", "c/m%FF%FE.wav", "c/z.wav"]
    assert [each.audio for each in found] == [clip(1), clip(2), clip(3)]


def test_a_manifest_in_a_folder_whose_name_is_not_utf_8_names_what_lies_beside_it(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/m\xff"
    os.mkdir(folder)
    names = ["1.wav", "100%.wav", "\xfc.wav"]
    lines = jsonl([{"audio_filepath": name} for name in (*names, "../out.wav")])
    for name, content in {"m.jsonl": lines, **dict.fromkeys(names, clip(1))}.items():
        with open(folder + b"/" + name.encode(), "wb") as file:
            file.write(content)
    found = read(os.fsdecode(folder + b"/m.jsonl"))
    assert [each.audio for each in found] == [clip(1)] * 3 + [None]
    assert found[3].failure is not None and found[3].failure.kind == "OutsideRoot"


def test_what_is_no_file_is_a_failed_row_and_nobody_waits_for_it(tmp_path: Path) -> None:
    folder = written(tmp_path / "in", {"a.wav": clip(1), "z.wav": clip(2)})
    os.mkfifo(folder / "pipe.wav")
    (folder / "device.wav").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket.wav"))
        found = read(folder)
    assert kinds(found) == [None, *["Unsupported"] * 3, None]
    assert {each.failure.message.partition(": ")[2] for each in found if each.failure} == {
        "a pipe, a socket or a device, where a file is needed"
    }
    with pytest.raises(StoreError, match="a pipe"):
        open_input(str(folder / "pipe.wav"))


def test_a_kaldi_command_is_refused_and_never_run(tmp_path: Path) -> None:
    scp = f"a good.wav\nb touch {tmp_path}/ran |\nc\nd feats.ark:17\ne good.wav\n".encode()
    written(tmp_path, {"wav.scp": scp, "good.wav": clip(1), "text": b"b said b\n"})
    found = read(tmp_path)
    assert kinds(found) == [None, "PipedCommand", "BadPath", "Unsupported", None]
    assert [each.recording_id for each in found] == list("abcde")
    assert found[1].reference == "said b"
    assert not (tmp_path / "ran").exists()


def test_a_bad_segment_is_one_failed_row(tmp_path: Path) -> None:
    segments = b"u1 r 0 1\nu2 r 2 1\nu3 nobody 0 1\nu4 r 0\nu5 r x 1\nu6 bad 0 1\nu7 r 1 2\n"
    written(tmp_path, {"wav.scp": b"r 1.wav\nbad cat x|\n", "segments": segments, "1.wav": clip(1)})
    found = read(tmp_path)
    assert kinds(found) == [None, "BadTime", "NotFound", "BadLine", "BadTime", "PipedCommand", None]
    assert [each.recording_id for each in found] == [f"u{n}" for n in range(1, 8)]


def test_cuts_that_are_all_mixed_are_failed_rows_and_no_shar(tmp_path: Path) -> None:
    cut = {"id": "m", "type": "MixedCut", "tracks": []}
    (found,) = read(written(tmp_path, {"cuts.jsonl": jsonl([cut]), "1.wav": clip(1)}))
    assert found.recording_id == "m"
    assert found.failure is not None and found.failure.kind == "Unsupported"


def test_a_cut_of_a_shar_without_audio_says_so_wherever_it_stands(tmp_path: Path) -> None:
    cuts = gzip.compress(jsonl([{"id": "b"}, {"id": "a"}]))
    written(tmp_path, {"cuts.0.jsonl.gz": cuts, "recording.0.tar": tarred([("a.nodata", b""), ("b.wav", clip(2))])})
    assert kinds(read(tmp_path)) == [None, "NoAudio"]


ALTERED: dict[str, object] = {"sources": [{"type": "file", "source": "1.wav"}]}
"""A recording of which something is done when it is loaded."""


@pytest.mark.parametrize(
    ("recording", "kind"),
    [
        ({"sources": [{"type": "command", "source": "touch ran"}]}, "PipedCommand"),
        ({"sources": [{"type": "memory", "source": "UklG"}]}, "Unsupported"),
        ({"sources": [{"type": "file", "source": "../../x.wav"}]}, "OutsideRoot"),
        ({"sources": [{"type": "url", "source": "https://x/y.wav"}]}, "BadScheme"),
        ({"sources": [{"type": "file", "source": "\ud800.wav"}]}, "BadPath"),
        ({"sources": []}, "Unsupported"),
        (None, "Unsupported"),
        (ALTERED | {"transforms": [{"name": "Speed", "kwargs": {"factor": 1.1}}]}, "Unsupported"),
        (ALTERED | {"transforms": [{"name": "Resample"}, {"name": "Tempo"}]}, "Unsupported"),
        (ALTERED | {"transforms": [{"name": "of 2030"}]}, "Unsupported"),
        (ALTERED | {"transforms": [{"kwargs": {}}, None]}, "Unsupported"),
        (ALTERED | {"transforms": "Speed"}, "Unsupported"),
        (ALTERED | {"transforms": [{"name": "Resample"}, {"name": "Volume", "kwargs": {"factor": 2.0}}]}, None),
        (ALTERED | {"transforms": []}, None),
        (ALTERED | {"transforms": None}, None),
    ],
)
def test_a_cut_that_cannot_be_followed_is_one_failed_row(tmp_path: Path, recording: object, kind: str | None) -> None:
    fine = {"id": "ok", "start": 0, "duration": 1, "recording": {"sources": [{"type": "file", "source": "1.wav"}]}}
    cuts = [fine, fine | {"id": "bad", "recording": recording}, fine | {"id": "ok2"}]
    found = read(written(tmp_path, {"cuts.jsonl": jsonl(cuts), "1.wav": clip(1)}))
    assert kinds(found) == [None, kind, None]
    assert [each.recording_id for each in found] == ["ok", "bad", "ok2"]


def test_a_cut_with_half_a_surrogate_in_its_words_or_an_odd_channel_is_heard(tmp_path: Path) -> None:
    fine = {"id": "a", "start": 0, "duration": 1, "recording": {"sources": [{"type": "file", "source": "1.wav"}]}}
    cuts = [fine | {"supervisions": [{"text": "\ud800"}]}, fine | {"id": "b", "channel": True}]
    found = read(written(tmp_path, {"cuts.jsonl": jsonl(cuts), "1.wav": clip(1)}))
    assert kinds(found) == [None, None] and found[0].reference == "\\ud800" and found[1].channel is None


def test_a_common_voice_line_that_is_short_or_leads_out_is_one_failed_row(tmp_path: Path) -> None:
    table = b"path\tsentence\n1.mp3\tfine\nshort\n../../x.mp3\tout\n1.mp3\tfine\tlong\n\tnone\n"
    found = read(written(tmp_path, {"train.tsv": table, "clips/1.mp3": clip(1)}))
    assert kinds(found) == [None, "BadLine", "OutsideRoot", "BadLine", "BadPath"]


def test_members_that_a_manifest_names_and_a_tar_lacks_are_failed_rows(tmp_path: Path) -> None:
    lines = [{"audio_filepath": f"{n}.wav", "shard_id": n // 3} for n in range(6)]
    whole = tarred([(f"{n}.wav", clip(n)) for n in (2, 0)])
    written(tmp_path, {"tarred_audio_manifest.json": jsonl(lines), "audio_0.tar": whole})
    found = read(tmp_path)
    assert [each.audio for each in found] == [clip(0), None, clip(2), None, None, None]
    assert [each.failure.kind if each.failure else None for each in found] == [None, "NotFound", None] + [
        "NotFound"
    ] * 3


def test_a_shar_without_its_tar_or_with_bad_cuts_keeps_a_row_per_cut(tmp_path: Path) -> None:
    files = shar([{"id": "a"}, {"no": "id"}, {"id": "b"}], [("a", clip(1)), ("b", clip(2))])
    found = read(written(tmp_path / "s", files))
    assert kinds(found) == [None, "BadLine", None]
    (tmp_path / "s/recording.000000.tar").unlink()
    assert kinds(read(tmp_path / "s")) == ["NotFound", "BadLine", "NotFound"]


def test_a_parquet_that_breaks_off_gives_what_came_before_and_one_failed_row(tmp_path: Path) -> None:
    table = pa.table({"audio": [clip(n) for n in range(64)]})
    path = written(tmp_path, {}) / "t.parquet"
    pq.write_table(table, path, row_group_size=32, compression="zstd", use_dictionary=False)
    second = pq.ParquetFile(path).metadata.row_group(1).column(0)
    with path.open("r+b") as file:
        file.seek(second.data_page_offset)
        file.write(b"\xff" * 2000)
    found = read(path)
    assert kinds(found) == [None] * 32 + ["Truncated"]
    assert [each.audio for each in found[:32]] == [clip(n) for n in range(32)]
    path.write_bytes(path.read_bytes()[:-100])
    assert kinds(read(path, rules=PlanRules(format="parquet", audio_column="audio"))) == ["Truncated"]


def test_a_parquet_value_that_python_has_no_name_for_costs_no_recording(tmp_path: Path) -> None:
    strange = pa.array([1 << 60] * 3, pa.int64()).cast(pa.timestamp("us"))
    torn = pa.array([b"fine", b"\xff", b"fine"]).view(pa.string())
    pq.write_table(
        pa.table({"audio": [clip(n) for n in range(3)], "when": strange, "text": torn}), tmp_path / "t.parquet"
    )
    found = read(tmp_path)
    assert kinds(found) == [None] * 3 and [each.audio for each in found] == [clip(n) for n in range(3)]


def test_a_missing_object_and_one_without_rights_are_failed_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = jsonl([{"audio_filepath": f"{n}.wav"} for n in range(4)])
    written(tmp_path, {"manifest.json": lines, **{f"{n}.wav": clip(n) for n in (0, 1, 3)}})
    part = Disk.part

    def guarded(self: Disk, path: str, begin: int, end: int | None, version: str | None) -> Part:
        if path.endswith("1.wav"):
            raise StoreError("Denied", f"{path}: permission denied")
        return part(self, path, begin, end, version)

    monkeypatch.setattr(Disk, "part", guarded)
    found = read(tmp_path)
    assert kinds(found) == [None, "Denied", "NotFound", None]
    assert found[1].failure is not None and found[1].failure.stage == "sources"
