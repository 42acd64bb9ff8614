"""What an input says of a recording stands in its row, also where it could not be followed."""

from pathlib import Path

import pytest

from tests.pipeline.corpora import jsonl, read, written

FAILING: dict[str, dict[str, bytes]] = {
    "nemo": {"manifest.json": jsonl([{"audio_filepath": "../1.wav", "text": "said", "id": 7}])},
    "nemo, without audio": {"manifest.json": jsonl([{"text": "said", "audio_filepath": None, "id": 7}])},
    "tarred": {"tarred_audio_manifest.json": jsonl([{"audio_filepath": 5, "shard_id": 0, "text": "said", "id": 7}])},
    "commonvoice": {"train.tsv": b"path\tsentence\tid\n../../1.wav\tsaid\t7\n"},
    "lhotse": {"cuts.jsonl": jsonl([{"id": "a", "supervisions": [{"text": "said"}], "custom": 7}])},
    "shar": {"cuts.0.jsonl": jsonl([{"id": "a", "supervisions": [{"text": "said"}], "custom": 7}])},
}


@pytest.mark.parametrize("form", FAILING)
def test_a_failed_row_keeps_what_the_input_says_of_it(tmp_path: Path, form: str) -> None:
    (found,) = read(written(tmp_path / "in", FAILING[form]))
    assert found.failure is not None
    assert found.reference == "said" and "7" in (found.extra or "")
