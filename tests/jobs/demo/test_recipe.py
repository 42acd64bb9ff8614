"""The recipe: the corpus that ships is what its seed makes, and README's lines are ones that it knows.

Each in a process of its own: some voices flutter on from where they stopped.
"""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jobs.demo import recipe
from jobs.demo.corpus import LOOSE
from jobs.demo.recordings import heard, stored
from jobs.demo.truth import read_truth
from tests.jobs.demo.speaking import needs_the_same_espeak
from tests.readme import ROOT, section

CORPUS = recipe.CORPUS
LOSSLESS = (".flac", ".wav")
FEW = """
import sys, numpy
from jobs.demo.corpus import LOOSE, Studio
takes = Studio(0).takes(LOOSE["flac"])
numpy.savez(sys.argv[1], **{take.text: take.samples for take, _ in takes})
"""
WHOLE = """
import sys, pathlib
from jobs.demo.corpus import write_corpus
write_corpus(pathlib.Path(sys.argv[1]), 0)
"""


def run(program: str, place: Path) -> None:
    ran = [sys.executable, "-c", program, str(place)]
    subprocess.run(ran, cwd=ROOT, check=True, timeout=400, capture_output=True)


@needs_the_same_espeak
def test_recordings_are_made_again_sample_for_sample(tmp_path: Path) -> None:
    run(FEW, tmp_path / "made.npz")
    made = np.load(tmp_path / "made.npz")
    truths = [truth for truth in read_truth(CORPUS) if truth.file.endswith(".flac") and truth.kind != "call"]
    shipped = [truth for truth in truths if truth.file.startswith("loose/")]
    assert len(shipped) == LOOSE["flac"] == len(made.files)
    for truth in shipped:
        (samples,) = heard(stored(CORPUS, truth))
        np.testing.assert_allclose(made[truth.text], samples, atol=2**-15, err_msg=truth.id)


@pytest.mark.slow
@needs_the_same_espeak
def test_the_whole_corpus_is_made_again(tmp_path: Path) -> None:
    run(WHOLE, tmp_path / "corpus")
    shipped, made = read_truth(CORPUS), read_truth(tmp_path / "corpus")
    assert made == shipped
    for truth in shipped:
        ours, theirs = (heard(stored(corpus, truth))[truth.channel or 0] for corpus in (tmp_path / "corpus", CORPUS))
        if truth.file.endswith(LOSSLESS):
            np.testing.assert_allclose(ours, theirs, atol=2**-15, err_msg=truth.id)
        else:  # where processors round otherwise, an encoder decides otherwise
            assert len(ours) == len(theirs), truth.id
            assert np.square(ours - theirs).mean() < 0.2**2 * np.square(theirs).mean(), truth.id


def test_the_lines_of_readme_are_ones_that_the_recipe_knows() -> None:
    told = re.findall(r"-m jobs\.demo\.recipe ([^`]+)`", section("## The checkpoints that ship"))
    assert {line.split()[0] for line in told} == {"speak", "teach", "late", "measure", "everything"}
    for line in told:
        recipe.app.parse_args(line.split(), exit_on_error=False, print_error=False)
