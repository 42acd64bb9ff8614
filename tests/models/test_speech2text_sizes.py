"""Speech2Text at sizes and lengths in use: the published small shape, half a minute, two hundred tokens."""

from functools import cache
from pathlib import Path

import pytest
import torch
import transformers

from models import load_model
from models.model import SpeechModel
from models.protocol import Generation, HiddenStates, Tokens
from tests.models.reference import FOLDERS, TOLERANCE, difference, noise, randomise, save
from tests.models.writing import alone, features, ours, reference

GIVEN = [2, 9, 11, 0, 44, 1, 7, 7, 30]
LONG = 480_017
TOKENS = 200
"""What every published checkpoint says of a text's length."""


@cache
def small() -> tuple[SpeechModel, transformers.Speech2TextForConditionalGeneration]:
    """s2t-small with random weights, here and in the reference."""
    theirs = transformers.Speech2TextForConditionalGeneration(transformers.Speech2TextConfig()).eval()
    randomise(theirs, seed=1)
    theirs.tie_weights()
    folder = Path(FOLDERS.name) / "s2t-small"
    save(theirs, folder, {"num_mel_bins": 80})
    return load_model(folder), theirs


@pytest.mark.parametrize("samples", [32_000, LONG])
def test_the_published_small_size_equals_the_reference(samples: int) -> None:
    """Of the same features: what is left between the front ends, which have tests of their own, grows on the way."""
    model, theirs = small()
    batch = model.frontend([noise(samples)])
    with torch.no_grad():
        out = theirs(batch.inputs, decoder_input_ids=torch.tensor([GIVEN]), output_hidden_states=True)
        for mine, state in zip(model.hidden_states(batch).states, out.encoder_hidden_states, strict=True):
            assert difference(mine, state) <= TOLERANCE
        assert difference(model.teach(batch, [GIVEN]).logits, out.logits) <= TOLERANCE


def test_half_a_minute_is_read_as_the_reference_reads_it() -> None:
    """From samples; the front ends' differences, below 1e-4, are still there in the last states."""
    model = ours("untied")
    batch, theirs = model.frontend([noise(LONG)]), alone("untied", noise(LONG), GIVEN)
    assert difference(batch.inputs, features(noise(LONG))) <= TOLERANCE
    out = model(batch)
    assert isinstance(out, HiddenStates)
    assert difference(out.hidden, theirs.encoder_last_hidden_state) <= 2 * TOLERANCE
    assert difference(model.teach(batch, [GIVEN]).logits, theirs.logits) <= 2 * TOLERANCE


@pytest.mark.parametrize("beams", [1, 5])
@pytest.mark.parametrize("name", ["untied", pytest.param("unscaled-untied", marks=pytest.mark.slow)])
def test_a_text_of_two_hundred_tokens_is_the_references(name: str, beams: int) -> None:
    """Long enough for every cache to have grown several times."""
    model, clip = ours(name), noise(9_999)
    (mine,) = model.predict(model.frontend([clip]), Generation(beams=beams, max_length=TOKENS))
    theirs = reference(name).generate(features(clip), num_beams=beams, max_length=TOKENS)[0].tolist()
    assert isinstance(mine, Tokens)
    assert [2, *mine.ids] == (theirs[:-1] if theirs[-1] == 2 else theirs)
    assert len(mine.ids) > TOKENS // 2
