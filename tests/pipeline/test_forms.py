"""Every form of input, from a folder to its recordings."""

import gzip
import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.inputs.found import PlanError, PlanRules
from pipeline.plan import plan
from pipeline.storage import Store
from pipeline.stores import s3
from tests.pipeline.corpora import by_id, clip, jsonl, read, shar, tarred, written


def test_a_folder_is_every_audio_file_below_it_in_order(tmp_path: Path) -> None:
    files = {"b/x.flac": clip(1), "a.wav": clip(2), "b.mp3": clip(3), "notes.txt": b"no audio", "b/c/y.OGG": clip(4)}
    found = read(written(tmp_path / "talks", files))
    assert [each.recording_id for each in found] == ["talks/a.wav", "talks/b.mp3", "talks/b/c/y.OGG", "talks/b/x.flac"]
    assert [each.audio for each in found] == [clip(2), clip(3), clip(4), clip(1)]
    assert [each.ordinal for each in found] == [0, 1, 2, 3]


def test_one_file_is_named_as_its_folder_would_name_it(tmp_path: Path) -> None:
    written(tmp_path / "talks", {"a.wav": clip(1), "b.wav": clip(2)})
    assert [each.recording_id for each in read(tmp_path / "talks/b.wav")] == ["talks/b.wav"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.wav", ["c/a1.wav"]),
        ("*/*.wav", ["c/b/x2.wav"]),
        ("**/*.wav", ["c/a1.wav", "c/b/x2.wav"]),
        ("*/x?.wav", ["c/b/x2.wav"]),
        ("[ab]1.*", ["c/a1.wav"]),
    ],
)
def test_a_pattern_is_a_folder_of_what_it_matches(tmp_path: Path, pattern: str, names: list[str]) -> None:
    written(tmp_path / "c", {"a1.wav": clip(1), "b/x2.wav": clip(2), "b/x3.txt": b""})
    assert [each.recording_id for each in read(f"{tmp_path}/c/{pattern}")] == names


def test_a_nemo_manifest_names_audio_beside_it_and_says_what_was_said(tmp_path: Path) -> None:
    lines = [
        {"audio_filepath": "wav/1.wav", "text": "one", "duration": 2.5, "lang": "en"},
        {"audio_filepath": "wav/1.wav", "offset": 0.5, "duration": 0.25, "text": "half", "pnc": None},
        {"audio_filepath": "wav/2.wav", "sentence": "two"},
    ]
    files = {"train.jsonl": jsonl(lines), "wav/1.wav": clip(1), "wav/2.wav": clip(2)}
    whole, part, other = read(written(tmp_path, files) / "train.jsonl")
    assert (whole.recording_id, whole.begin, whole.duration, whole.reference) == ("wav/1.wav", 0, None, "one")
    assert json.loads(whole.extra or "") == {"duration": 2.5, "lang": "en"}
    assert (part.recording_id, part.begin, part.duration) == ("wav/1.wav@0.500-0.750", 0.5, 0.25)
    assert part.audio is whole.audio == clip(1)
    assert (other.reference, other.extra, other.audio) == ("two", None, clip(2))


def test_a_manifest_is_found_in_its_folder_and_may_be_compressed(tmp_path: Path) -> None:
    lines = gzip.compress(jsonl([{"audio_filepath": "1.wav", "text": "one"}]))
    written(tmp_path, {"manifest.json": lines, "1.wav": clip(1), "2.wav": clip(2)})
    assert [each.reference for each in read(tmp_path)] == ["one"]


def test_a_file_that_is_only_called_a_manifest_does_not_hide_the_audio_beside_it(tmp_path: Path) -> None:
    written(tmp_path, {"manifest.json": b'{"name": "an app"}', "train.tsv": b"a\tb\n", "1.wav": clip(1)})
    assert [each.audio for each in read(tmp_path)] == [clip(1)]


def test_a_tarred_nemo_manifest_is_a_shard_per_tar_however_its_lines_are_shuffled(tmp_path: Path) -> None:
    lines = [{"audio_filepath": f"{n}.wav", "shard_id": n % 3, "text": f"say {n}"} for n in (5, 0, 4, 2, 1, 3)]
    tars = {f"audio_{s}.tar": tarred([(f"{n}.wav", clip(n)) for n in range(6) if n % 3 == s]) for s in range(3)}
    written(tmp_path, {"tarred_audio_manifest.json": jsonl(lines), **tars})
    found = read(tmp_path)
    assert [each.recording_id for each in found] == ["0.wav", "3.wav", "4.wav", "1.wav", "5.wav", "2.wav"]
    assert [each.audio for each in found] == [clip(n) for n in (0, 3, 4, 1, 5, 2)]
    assert [each.reference for each in found][:2] == ["say 0", "say 3"]
    assert [shard["shard"][0].as_py() for shard in plan([str(tmp_path)])] == [
        "000001-000000-audio_0",
        "000001-000001-audio_1",
        "000001-000002-audio_2",
    ]


def test_the_segments_of_a_file_that_a_tar_holds_once_are_parts_of_it(tmp_path: Path) -> None:
    names = ["call.wav", "call-sub1.wav", "other.wav", "call-sub2.wav", "own-sub1.wav", "own.wav", "none-sub1.wav"]
    lines = [{"audio_filepath": name, "shard_id": 0, "offset": n, "duration": 1} for n, name in enumerate(names)]
    members = [("call.wav", clip(1)), ("other.wav", clip(2)), ("own.wav", clip(3)), ("own-sub1.wav", clip(4))]
    written(tmp_path, {"tarred_audio_manifest.json": jsonl(lines), "audio_0.tar": tarred(members)})
    found = read(tmp_path)
    assert [each.audio for each in found] == [clip(n) for n in (1, 1, 2, 1, 4, 3)] + [None]
    assert [each.begin for each in found] == list(range(7)) == [each.ordinal for each in found]
    assert found[1].recording_id == "call-sub1.wav@1.000-2.000"
    assert found[6].failure is not None and found[6].failure.kind == "NotFound"


def test_a_member_that_is_called_like_a_segment_is_found_wherever_it_stands(tmp_path: Path) -> None:
    lines = [{"audio_filepath": f"call{sub}.wav", "shard_id": 0} for sub in ("", "-sub1", "-sub2", "-sub1-sub1")]
    members = [("call.wav", clip(1)), ("z.wav", clip(2)), ("call-sub1.wav", clip(3))]
    written(tmp_path, {"tarred_audio_manifest.json": jsonl(lines), "audio_0.tar": tarred(members)})
    assert [each.audio for each in read(tmp_path)] == [clip(1), clip(3), clip(1), clip(3)]


def test_a_tar_that_breaks_off_may_have_held_what_is_called_like_a_segment(tmp_path: Path) -> None:
    lines = [{"audio_filepath": name, "shard_id": 0} for name in ("call.wav", "call-sub1.wav")]
    whole = tarred([("call.wav", clip(1)), ("call-sub1.wav", clip(2))])
    written(tmp_path, {"tarred_audio_manifest.json": jsonl(lines), "audio_0.tar": whole[:4000]})
    first, second = read(tmp_path)
    assert first.audio == clip(1)
    assert second.failure is not None and second.failure.kind == "Truncated"


def test_numbered_manifests_and_their_tars_are_named_as_nemo_names_them(tmp_path: Path) -> None:
    files = {f"sharded/m_{n}.json": jsonl([{"audio_filepath": f"{n}.wav", "text": str(n)}]) for n in range(3)}
    tars = {f"tars/a_{n}.tar": tarred([(f"{n}.wav", clip(n)), ("unnamed.wav", b"")]) for n in range(3)}
    written(tmp_path, {**files, **tars})
    rules = PlanRules(tars=f"{tmp_path}/tars/a__OP_0..2_CL_.tar")
    found = read(f"{tmp_path}/sharded/m__OP_0..2_CL_.json", rules=rules)
    assert [(each.recording_id, each.audio) for each in found] == [(f"{n}.wav", clip(n)) for n in range(3)]


def test_a_parquet_written_by_datasets_is_read_by_its_own_marks(tmp_path: Path) -> None:
    features = datasets.Features({"audio": datasets.Value("string"), "speech": datasets.Audio()})
    features |= {"text": datasets.Value("string")}
    rows = [{"audio": "decoy", "speech": {"bytes": clip(n), "path": f"{n}.wav"}, "text": f"t{n}"} for n in range(40)]
    table = datasets.Dataset(pa.Table.from_pylist(rows, datasets.Features(features).arrow_schema))
    table.to_parquet(str(tmp_path / "train-00000.parquet"))
    found = read(tmp_path)
    assert [each.audio for each in found] == [clip(n) for n in range(40)]
    assert [each.reference for each in found] == [row["text"] for row in rows]
    assert found[7].recording_id == f"{tmp_path.name}/train-00000.parquet/7"
    assert json.loads(found[7].extra or "") == {"audio": "decoy", "speech": "7.wav"}


def test_parquet_holds_plain_bytes_or_paths_and_a_large_one_is_split_by_row_group(tmp_path: Path) -> None:
    plain = pa.table({"wav": [clip(n) for n in range(5)], "transcript": list("abcde"), "speaker": range(5)})
    pq.write_table(
        plain, written(tmp_path, {"x/1.wav": clip(1), "x/2.wav": clip(2)}) / "plain.parquet", row_group_size=2
    )
    pq.write_table(pa.table({"path": ["x/2.wav", "x/1.wav"]}), tmp_path / "paths.parquet")
    whole = read(tmp_path / "plain.parquet")
    split = read(tmp_path / "plain.parquet", rules=PlanRules(parquet_bytes=1))
    assert [each.recording_id for each in whole] == [each.recording_id for each in split]
    assert [each.audio for each in split] == [clip(n) for n in range(5)]
    assert len({each.shard for each in split}) == 3
    assert (split[4].ordinal, split[4].reference, split[4].extra) == (0, "e", '{"speaker": 4}')
    assert [each.audio for each in read(tmp_path / "paths.parquet")] == [clip(2), clip(1)]


def test_bytes_of_a_parquet_beside_the_audio_are_left_out_wherever_they_stand(tmp_path: Path) -> None:
    picture, far = {"bytes": b"\x89PNG", "path": "1.png"}, {"bytes": clip(2), "path": "far.wav"}
    beside = {"image": picture, "mics": [far, {"bytes": None, "path": "x"}], "masks": [b"0", b"1"], "raw": b"2"}
    row = {"audio": {"bytes": clip(1), "path": "near.wav"}, "snr": 3, "tags": [("a", b"3")], **beside}
    schema = pa.Table.from_pylist([row | {"tags": None}]).schema
    schema = schema.set(schema.get_field_index("tags"), pa.field("tags", pa.map_(pa.string(), pa.binary())))
    pq.write_table(pa.Table.from_pylist([row], schema), tmp_path / "t.parquet")
    (found,) = read(tmp_path)
    assert found.audio == clip(1)
    assert json.loads(found.extra or "") == {
        "audio": "near.wav",
        "snr": 3,
        "tags": [["a"]],
        "image": {"path": "1.png"},
        "mics": [{"path": "far.wav"}, {"bytes": None, "path": "x"}],
        "masks": [],
    }


def test_fields_that_are_carried_stay_json_where_a_credential_is_blacked_out(tmp_path: Path) -> None:
    fields = {
        "html": '<a href="http://x/?key=canary">link</a>',
        "http://y/?token=canary": ['"', "\nAKIACANARY0000000001"],
    }
    written(tmp_path, {"m.jsonl": jsonl([{"audio_filepath": "1.wav", **fields}]), "1.wav": clip(1)})
    (found,) = read(tmp_path / "m.jsonl")
    assert json.loads(found.extra or "") == {
        "html": '<a href="http://x/?key=***">link</a>',
        "http://y/?token=***": ['"', "\n***"],
    }


def test_a_webdataset_tar_carries_what_lies_beside_the_audio(tmp_path: Path) -> None:
    files = [
        ("s/a.flac", clip(1)),
        ("s/a.json", b'{"text": "from json", "speaker": 7}'),
        ("s/b.left.wav", clip(2)),
        ("s/b.right.wav", clip(3)),
        ("s/b.json", b'{"text": "overruled", "label": "from text", "snr": NaN}'),
        ("s/b.txt", b"from text\n"),
        ("readme.txt", b"about"),
        ("s/c.wav", clip(4)),
    ]
    found = by_id(read(written(tmp_path / "set", {"d-000.tar": tarred(files), "d-001.tar": tarred([])})))
    a, left, right, c = found.values()
    assert next(iter(found)) == "set/d-000.tar/s/a.flac"
    assert (a.audio, a.reference, a.extra) == (clip(1), "from json", '{"speaker": 7}')
    assert (left.reference, right.reference, right.audio) == ("from text", "from text", clip(3))
    assert json.loads(left.extra or "") == {"text": "overruled", "label": "from text", "snr": "NaN"}
    assert (c.reference, c.extra, c.ordinal) == (None, None, 3)
    assert c.uri == f"{tmp_path}/set/d-000.tar#s/c.wav"


def test_a_numbered_range_of_tars_is_a_shard_each(tmp_path: Path) -> None:
    written(tmp_path, {f"d-{n:03d}.tar": tarred([("k.wav", clip(n))]) for n in range(4)})
    found = read(f"{tmp_path}/d-{{001..003}}.tar")
    assert [each.audio for each in found] == [clip(1), clip(2), clip(3)]
    assert len({each.recording_id for each in found}) == 3


def test_common_voice_clips_lie_beside_their_table(tmp_path: Path) -> None:
    table = b'client_id\tpath\tsentence\tage\nspk\tone.mp3\tHello "you"\t\nspk\ttwo\tBye\tteens\n'
    written(tmp_path, {"train.tsv": table, "clips/one.mp3": clip(1), "clips/two.mp3": clip(2)})
    for found in (read(tmp_path), read(tmp_path / "train.tsv")):
        assert [(each.recording_id, each.audio) for each in found] == [("one.mp3", clip(1)), ("two", clip(2))]
        assert found[0].reference == 'Hello "you"'
        assert json.loads(found[0].extra or "") == {"client_id": "spk"}
    written(tmp_path, {"dev.tsv": table})
    with pytest.raises(PlanError, match=r"train.tsv, dev.tsv.*name the one to read"):
        plan([str(tmp_path)])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (b"client_id\tsentence\nspk\thello\n", r"t\.tsv has no column 'path'.*it has client_id, sentence"),
        (b"path\xff\tsentence\n1.mp3\tx\n", r"t\.tsv has no header that can be read: .*not UTF-8"),
        (b"\n", r"t\.tsv is empty"),
    ],
)
def test_a_common_voice_table_that_does_not_name_its_clips_is_told(tmp_path: Path, table: bytes, said: str) -> None:
    written(tmp_path, {"t.tsv": table})
    with pytest.raises(PlanError, match=said):
        plan([str(tmp_path / "t.tsv")], PlanRules(format="commonvoice"))


def test_two_slashes_in_an_address_are_not_one(moto_s3: str) -> None:
    store, bucket = Store(moto_s3), moto_s3.removeprefix("s3://")
    for number, name in enumerate(("audio/x.wav", "audio//x.wav", "audio//y.wav")):
        s3.call("put_object", f"{bucket}/{name}", Body=clip(number))
    lines = [f"{moto_s3}/audio//x.wav", f"{moto_s3}/audio/x.wav", "audio//x.wav", f"{moto_s3}/audio/a/..//./y.wav"]
    store.put("m.jsonl", jsonl([{"audio_filepath": line} for line in lines]))
    assert [each.audio for each in read(f"{moto_s3}/m.jsonl")] == [clip(1), clip(0), clip(0), clip(2)]
    s3.call(
        "put_object", f"{bucket}/audio//m.jsonl", Body=jsonl([{"audio_filepath": n} for n in ("y.wav", "../x.wav")])
    )
    inner, outer = read(f"{moto_s3}/audio//m.jsonl")
    assert inner.audio == clip(2)
    assert outer.failure is not None and outer.failure.kind == "OutsideRoot"


def test_librispeech_references_stand_beside_the_chapter(tmp_path: Path) -> None:
    chapters = {"84/121": 3, "84/122": 1, "9/5": 2}
    files = {}
    for chapter, count in chapters.items():
        stem = chapter.replace("/", "-")
        files |= {f"{chapter}/{stem}-{n:04d}.flac": clip(n) for n in range(count)}
        files[f"{chapter}/{stem}.trans.txt"] = "".join(f"{stem}-{n:04d} SAID {n}\n" for n in range(count)).encode()
    files["84/122/84-122-9999.flac"] = clip(9)
    found = by_id(read(written(tmp_path / "dev", files)))
    assert found["dev/84/121/84-121-0002.flac"].reference == "SAID 2"
    assert found["dev/9/5/9-5-0001.flac"].reference == "SAID 1"
    assert found["dev/84/122/84-122-9999.flac"].reference is None
    assert len(found) == 7


def test_a_kaldi_folder_gives_its_utterances(tmp_path: Path) -> None:
    files = {
        "wav.scp": b"call-1 wav/1.wav\ncall-2   wav/2.wav\n",
        "text": b"call-2 zwei\ncall-1 eins und zwei\n",
        "utt2spk": b"call-1 anna\n",
        "wav/1.wav": clip(1),
        "wav/2.wav": clip(2),
    }
    one, two = read(written(tmp_path, files))
    assert (one.recording_id, one.audio, one.reference) == ("call-1", clip(1), "eins und zwei")
    assert (one.extra, two.extra, two.reference) == ('{"speaker": "anna"}', None, "zwei")
    written(tmp_path, {"segments": b"u1 call-2 0.5 1.25\nu2 call-1 0 -1\n", "text": b"u1 halb\n"})
    first, second = read(tmp_path / "wav.scp")
    assert (first.recording_id, first.audio, first.begin, first.duration) == ("u1", clip(2), 0.5, 0.75)
    assert (second.begin, second.duration, second.reference) == (0, None, None)


def test_lhotse_cuts_are_parts_of_recordings(tmp_path: Path) -> None:
    cut = {
        "id": "cut-1",
        "start": 1.5,
        "duration": 2.0,
        "channel": 1,
        "type": "MonoCut",
        "supervisions": [{"text": "good", "speaker": "s1", "language": "en"}],
        "recording": {"id": "r", "sources": [{"type": "file", "channels": [0, 1], "source": "1.wav"}]},
        "custom": {"snr": 3},
    }
    both = cut | {"id": "cut-2", "channel": [0, 1], "supervisions": [{"text": "a"}, {"text": "b"}]}
    written(tmp_path, {"my_cuts.jsonl.gz": gzip.compress(jsonl([cut, both])), "1.wav": clip(1)})
    one, two = read(tmp_path / "my_cuts.jsonl.gz")
    assert (one.recording_id, one.begin, one.duration, one.channel) == ("cut-1", 1.5, 2.0, 1)
    assert (one.reference, one.audio) == ("good", clip(1))
    assert json.loads(one.extra or "") == {"custom": {"snr": 3}, "speaker": "s1", "language": "en"}
    assert (two.channel, two.reference) == (None, "a b")


def test_shar_pairs_cuts_with_their_tar(tmp_path: Path) -> None:
    cuts = [
        {"id": f"c{n}", "start": 0, "duration": 1, "channel": 1, "supervisions": [{"text": str(n)}]} for n in range(4)
    ]
    audio = [("c1", clip(1)), ("c0", clip(0)), ("c2", clip(2))]
    found = read(written(tmp_path / "shar", shar(cuts, audio)))
    assert [each.recording_id for each in found] == [f"shar/000000/c{n}" for n in range(4)]
    assert [each.audio for each in found] == [clip(0), clip(1), clip(2), None]
    assert [each.reference for each in found[:3]] == ["0", "1", "2"]
    assert found[3].failure is not None and found[3].failure.kind == "NotFound"
    assert [each.channel for each in found] == [None] * 4
    assert read(tmp_path / "shar/cuts.000000.jsonl.gz") == found


def test_a_list_of_mixed_forms_is_read_in_its_order(tmp_path: Path) -> None:
    written(tmp_path / "loose", {"a.wav": clip(1)})
    written(tmp_path / "tar", {"t.tar": tarred([("b.wav", clip(2))])})
    written(tmp_path / "nemo", {"m.json": jsonl([{"audio_filepath": "c.wav"}]), "c.wav": clip(3)})
    found = read(tmp_path / "tar", tmp_path / "nemo/m.json", tmp_path / "loose")
    assert [each.audio for each in found] == [clip(2), clip(3), clip(1)]
    assert len({each.shard for each in found}) == 3


def test_a_form_is_read_as_named_whatever_it_looks_like(tmp_path: Path) -> None:
    written(tmp_path, {"list": b"not json\n" + jsonl([{"audio_filepath": "a.wav"}]), "a.wav": clip(1), "wav.scp": b""})
    with pytest.raises(PlanError, match="holds no audio that can be planned as kaldi"):
        plan([str(tmp_path)])
    assert [each.recording_id for each in read(tmp_path, rules=PlanRules(format="audio"))] == [f"{tmp_path.name}/a.wav"]
    named = read(tmp_path / "list", rules=PlanRules(format="nemo"))
    assert [each.audio for each in named] == [None, clip(1)]
