"""Tars that are odd, broken, cut short or large."""

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.inputs.found import PlanRules
from pipeline.plan import plan
from pipeline.sources import recordings
from tests.pipeline.corpora import clip, jsonl, kinds, read, tarred, written


def entry(name: str, content: bytes = b"", **about: object) -> tuple[tarfile.TarInfo, bytes]:
    """A member of a tar, with what is unusual about it."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in about.items():
        setattr(info, field, value)
    return info, content


def odd_tar(*entries: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar of unusual members."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content) if content else None)
    return packed.getvalue()


ODD_MEMBERS: dict[str, tuple[tarfile.TarInfo, str]] = {
    "a symbolic link": (entry("m.wav", type=tarfile.SYMTYPE, linkname="/etc/passwd")[0], "Refused"),
    "a hard link": (entry("m.wav", type=tarfile.LNKTYPE, linkname="a.wav")[0], "Refused"),
    "an absolute name": (entry("/m.wav")[0], "OutsideRoot"),
    "a name that climbs": (entry("x/../../m.wav")[0], "OutsideRoot"),
    "a sparse file": (entry("m.wav", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.realsize": "1"})[0], "Refused"),
}


@pytest.mark.parametrize("poison", ODD_MEMBERS)
def test_an_odd_member_of_a_tar_is_one_failed_row(tmp_path: Path, poison: str) -> None:
    odd, kind = ODD_MEMBERS[poison]
    tar = odd_tar(entry("a.wav", clip(1)), (odd, b""), entry("z.wav", clip(2)))
    found = read(written(tmp_path, {"t.tar": tar}))
    assert kinds(found) == [None, kind, None]
    assert found[2].audio == clip(2)


def test_a_member_that_is_not_read_has_its_name_and_keeps_its_text(tmp_path: Path) -> None:
    sparse = {"GNU.sparse.major": "1", "GNU.sparse.name": "n.wav"}
    tar = odd_tar(
        entry("m.wav", type=tarfile.SYMTYPE, linkname="a.wav"),
        entry("m.txt", b"said"),
        entry("GNUSparseFile.17/n.wav", pax_headers=sparse),
        entry("n.json", b'{"id": 7}'),
    )
    link, hole = read(written(tmp_path / "in", {"t.tar": tar}))
    assert (link.recording_id, link.reference) == ("in/t.tar/m.wav", "said")
    assert (hole.recording_id, hole.extra) == ("in/t.tar/n.wav", '{"id": 7}')


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_foreign_names_are_read_whole(tmp_path: Path, form: int) -> None:
    names = ["x/" * 150 + "deep.wav", "größe/日本.wav", "not-utf8-\udcff.wav", "a\nb.wav"]
    tar = odd_tar(
        *(entry(name, clip(n)) for n, name in enumerate(names)), entry("dir", type=tarfile.DIRTYPE), form=form
    )
    found = read(written(tmp_path, {"t.tar": tar}))
    assert kinds(found) == [None] * 4
    assert [each.audio for each in found] == [clip(n) for n in range(4)]
    assert found[0].recording_id.endswith(names[0]) and found[1].recording_id.endswith(names[1])


def cut_member(tar: bytes) -> bytes:
    return tar[: 512 + 1644 + 400 + 512 + 300]


def cut_between(tar: bytes) -> bytes:
    return tar[: 2 * (512 + 2048)]


def smash_second_header(tar: bytes) -> bytes:
    return tar[:2560] + b"\xaa" * 512 + tar[3072:]


def claim_a_terabyte(tar: bytes) -> bytes:
    info = tarfile.TarInfo("huge.wav")
    info.size = 1 << 40
    return tar[:2560] + info.tobuf(tarfile.GNU_FORMAT) + tar[3072:]


TAILS: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "ends inside a member": (cut_member, 1),
    "ends between members": (cut_between, 2),
    "a header is damaged": (smash_second_header, 1),
    "a member claims a terabyte": (claim_a_terabyte, 1),
    "nothing in it": (lambda tar: tar[:0], 0),
    "not a tar": (lambda tar: b"\x1f\x8b" + tar[1:], 0),
}


@pytest.mark.parametrize("damage", TAILS)
def test_a_tar_that_cannot_be_read_on_gives_its_good_members_and_one_failed_row(tmp_path: Path, damage: str) -> None:
    break_it, good = TAILS[damage]
    tar = tarred([(f"{n}.wav", clip(n)) for n in range(3)])
    written(tmp_path, {"a.tar": break_it(tar), "b.tar": tar})
    found = read(tmp_path / "a.tar", rules=PlanRules(format="webdataset"))
    assert kinds(found) == [None] * good + ["Truncated"]
    assert [each.audio for each in found[:-1]] == [clip(n) for n in range(good)]
    assert [each.failure for each in read(tmp_path)][-3:] == [None] * 3


def test_members_of_a_tar_of_a_folder_are_known_by_their_names(tmp_path: Path) -> None:
    tar = tarred([("./a.wav", clip(1)), ("./b.wav", clip(2)), ("././c.wav", clip(3))])
    lines = [{"audio_filepath": name, "shard_id": 0} for name in ("b.wav", "./a.wav", "c.wav")]
    written(tmp_path / "nemo", {"tarred_audio_manifest.json": jsonl(lines), "audio_0.tar": tar})
    cuts = gzip.compress(jsonl([{"id": "b"}, {"id": "a"}]))
    written(tmp_path / "shar", {"cuts.000000.jsonl.gz": cuts, "recording.000000.tar": tar})
    written(tmp_path / "set", {"t.tar": tar})
    assert [each.audio for each in read(tmp_path / "nemo")] == [clip(2), clip(1), clip(3)]
    assert [each.audio for each in read(tmp_path / "shar")] == [clip(2), clip(1)]
    assert [each.recording_id for each in read(tmp_path / "set")] == [f"set/t.tar/{name}.wav" for name in "abc"]


@pytest.mark.parametrize("packed", [gzip.compress, bz2.compress, lzma.compress])
def test_a_tar_that_is_compressed_whatever_its_name_is_told_as_that(
    packed: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    (found,) = read(written(tmp_path, {"t.tar": packed(tarred([("a.wav", clip(1))]))}))
    assert found.failure is not None and "it is compressed" in found.failure.message


def test_two_tars_written_one_after_the_other_are_read_to_the_end(tmp_path: Path) -> None:
    written(tmp_path, {"t.tar": tarred([("a.wav", clip(1))]) + tarred([("b.wav", clip(2))])})
    assert [each.audio for each in read(tmp_path)] == [clip(1), clip(2)]


def test_a_large_tar_is_split_between_samples_and_reads_the_same(tmp_path: Path) -> None:
    files = [part for n in range(40) for part in ((f"{n:02d}.wav", clip(n)), (f"{n:02d}.txt", str(n).encode()))]
    written(tmp_path, {"t.tar": tarred(files)})
    whole, rules = read(tmp_path), PlanRules(tar_bytes=40_000)
    split = read(tmp_path, rules=rules)
    assert len(list(plan([str(tmp_path)], rules))) > 3
    assert [(each.recording_id, each.audio, each.reference) for each in split] == [
        (each.recording_id, each.audio, each.reference) for each in whole
    ]
    assert all(each.reference is not None for each in split)


@pytest.mark.parametrize("twin", ["07.wav", "other.wav"])
def test_a_tar_in_which_a_name_stands_twice_is_not_split(tmp_path: Path, twin: str) -> None:
    files = [(f"{n:02d}.wav", clip(n)) for n in range(40)] + [(twin, clip(99))]
    written(tmp_path, {"t.tar": tarred(files)})
    rules = PlanRules(tar_bytes=40_000)
    assert (len(list(plan([str(tmp_path)], rules))) == 1) == (twin == "07.wav")
    found = read(tmp_path, rules=rules)
    assert len({each.recording_id for each in found}) == 41


def test_a_split_tar_that_was_cut_short_after_it_was_planned_says_so(tmp_path: Path) -> None:
    tar = tarred([(f"{n:02d}.wav", clip(n)) for n in range(40)])
    written(tmp_path, {"t.tar": tar})
    shards = list(plan([str(tmp_path)], PlanRules(tar_bytes=40_000)))
    written(tmp_path, {"t.tar": tar[: len(tar) // 2 // 512 * 512]})
    found = [list(recordings(shard)) for shard in shards]
    assert [each.failure for each in found[0]] == [None] * len(found[0])
    assert kinds(found[-1]) == ["Truncated"]
