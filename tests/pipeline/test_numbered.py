"""Names that stand for several, as shells and NeMo number them."""

from pathlib import Path

import pytest

from pipeline.inputs.found import PlanError, PlanRules
from pipeline.plan import plan
from tests.pipeline.corpora import clip, jsonl, kinds, read, tarred, written


@pytest.mark.parametrize(
    ("pattern", "first"), [("a__OP_0..2_CL_.tar", 0), ("a_{0..2}.tar", 0), ("b_{001..003}.tar", 1)]
)
def test_one_manifest_names_members_of_several_tars_by_their_numbers(pattern: str, first: int, tmp_path: Path) -> None:
    lines = [{"audio_filepath": f"{n}.wav", "shard_id": n % 3 + first, "text": str(n)} for n in (5, 0, 4, 2, 1, 3)]
    lost = [{"audio_filepath": "0.wav", "shard_id": 9, "text": "lost"}, {"audio_filepath": "1.wav", "text": "lost"}]
    tars = {s: tarred([(f"{n}.wav", clip(n)) for n in range(6) if n % 3 == s]) for s in range(3)}
    named = {f"a_{s}.tar": tar for s, tar in tars.items()} | {f"b_{s + 1:03d}.tar": tar for s, tar in tars.items()}
    written(tmp_path, {"m.json": jsonl([*lines, *lost]), **named})
    found = read(tmp_path / "m.json", rules=PlanRules(tars=f"{tmp_path}/{pattern}"))
    assert {each.reference: each.audio for each in found if not each.failure} == {str(n): clip(n) for n in range(6)}
    assert sorted(filter(None, (each.failure and each.failure.kind for each in found))) == ["NotFound"] * 2
    assert {each.reference for each in found if each.failure} == {"lost"}


def test_more_manifests_than_tars_are_a_mistake(tmp_path: Path) -> None:
    written(tmp_path, {f"m_{n}.json": jsonl([{"audio_filepath": "1.wav"}]) for n in range(3)})
    for tars in ("t_{0..1}.tar", "t_{0..3}.tar", "t.tar"):
        with pytest.raises(PlanError, match="stands for 3 manifests, and tars for"):
            plan([f"{tmp_path}/m_{{0..2}}.json"], PlanRules(tars=f"{tmp_path}/{tars}"))


def test_numbers_that_fall_are_names_too(tmp_path: Path) -> None:
    written(tmp_path, {f"{n}.wav": clip(n) for n in range(3)})
    found = read(f"{tmp_path}/{{2..0}}.wav")
    assert kinds(found) == [None] * 3
    assert [each.audio for each in found] == [clip(2), clip(1), clip(0)]
