"""When frames are: in whole samples, around the middle of what each sees, never drifting."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models import load_model
from models.clock import Clock, make_clock
from models.layers.convolution import ConvShape
from tests.models.reference import noise, published

WAV2VEC2 = ConvShape((512,) * 7, (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2))
SEEN = {"hubert-layer-ctc": (320, 400), "sew-d-layer-ctc": (320, 400), "lasr-ctc": (640, 2320)}
"""Samples from frame to frame, and samples that the convolutions see for one."""


@pytest.mark.parametrize(
    ("shape", "hop", "window", "clock"),
    [
        (WAV2VEC2, 1, 1, Clock(320, 40)),
        (ConvShape((8, 8), (5, 5), (2, 2)), 160, 400, Clock(640, 840)),
        (ConvShape((8, 8), (5, 5), (2, 2), pads=(2, 2)), 160, 400, Clock(640, -120)),
    ],
)
def test_a_frame_stands_around_the_middle_of_what_it_sees(
    shape: ConvShape, hop: int, window: int, clock: Clock
) -> None:
    assert make_clock(shape, hop, window) == clock


@pytest.mark.parametrize("name", SEEN)
def test_a_models_clock_is_its_convolutions(name: str) -> None:
    step, seen = SEEN[name]
    assert load_model(published(name).folder).clock == Clock(step, (seen - step) // 2)


@torch.no_grad()
@pytest.mark.parametrize("name", SEEN)
def test_a_click_is_heard_by_frames_on_both_sides_of_it_alike(name: str) -> None:
    """The frames that a single changed sample reaches lie around it, as the clock places them."""
    model, at = load_model(published(name).folder), 9_203
    quiet, clicked = noise(20_801), noise(20_801)
    clicked[at : at + 40] += 0.5
    first, second = (_convolved(name, clip) for clip in (quiet, clicked))
    reached = (first - second).abs().amax(1) > 1e-3 * (first - second).abs().max()
    frames = reached.nonzero()[:, 0].tolist()
    middle = (model.clock.start(frames[0], 20_801) + model.clock.end(frames[-1], 20_801)) / 2
    assert abs(middle - (at + 20)) <= model.clock.step


def _convolved(name: str, clip: np.ndarray) -> torch.Tensor:
    """Convolution features; the waveform is not normalised, so that only the click differs."""
    model = load_model(published(name).folder)
    inputs = model.frontend([clip]).inputs if name.startswith("lasr") else torch.from_numpy(clip)[None]
    return model.encoder.extract(inputs, [inputs.shape[1]]).values


@given(st.integers(1, 2000), st.integers(-500, 3000), st.integers(0, 10**9), st.integers(0, 10**10))
def test_a_frame_ends_where_the_next_begins_inside_the_clip(step: int, first: int, frame: int, samples: int) -> None:
    clock = Clock(step, first)
    assert 0 <= clock.start(frame, samples) <= clock.end(frame, samples) <= samples
    assert clock.end(frame, samples) == clock.start(frame + 1, samples)


def test_after_a_day_a_frame_is_still_where_it_should_be() -> None:
    frame = 24 * 60 * 60 * 50
    assert Clock(320, 40).start(frame, 10**12) == 24 * 60 * 60 * 16_000 + 40
