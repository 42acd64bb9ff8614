"""Training: every weight learns, and a course goes as it says."""

import numpy as np
import pytest
import torch

from jobs.demo.lessons import Lesson
from jobs.demo.newborn import begin_from, newborn, sharpen, tones
from jobs.demo.recipe import RECIPES, teacher_of
from jobs.demo.students import STUDENTS
from jobs.demo.teaching import places
from jobs.demo.training import TOGETHER, Course, optimizers_of

PHONEMES = 9


def lesson(*texts: str) -> Lesson:
    random = np.random.default_rng(0)
    samples = 0.1 * random.standard_normal((len(texts), 24_000), np.float32)
    return Lesson(samples, texts, random.integers(PHONEMES, size=(len(texts), 150)))


@pytest.mark.parametrize("family", STUDENTS)
def test_every_weight_of_every_family_learns(family: str) -> None:
    student = STUDENTS[family]
    model = newborn(student, 0)
    teacher = teacher_of(model, student, PHONEMES)
    text, phonemes = teacher.cost(model, lesson("north", "stop"))
    (text + phonemes).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert bool(weight.grad.isfinite().all()), name
        assert bool(weight.grad.any()), name


@pytest.mark.parametrize("family", ["lasr", "hubert", "speech2text"])
def test_a_model_learns_a_lesson_by_heart(family: str) -> None:
    torch.manual_seed(0)
    student = STUDENTS[family]
    model = newborn(student, 0)
    teacher = teacher_of(model, student, PHONEMES)
    optimizer = torch.optim.AdamW([*model.parameters(), *teacher.parameters()], 1e-3)
    costs = []
    for _ in range(12):
        text, phonemes = teacher.cost(model, lesson("stop", "go"))
        optimizer.zero_grad()
        (text + phonemes).backward()
        optimizer.step()
        costs.append(float(text.detach()))
    assert costs[-1] < 0.7 * costs[0]


def test_a_newborn_follows_from_its_seed() -> None:
    one, same, other = (newborn(STUDENTS["hubert"], seed).head.state_dict()["project.weight"] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_model_begins_with_what_fits_of_another() -> None:
    hubert, sew = newborn(STUDENTS["hubert"], 1), newborn(STUDENTS["sew-d"], 2)
    before = sew.state_dict()["encoder.unfold.weight"].clone()
    taken = begin_from(sew, hubert)
    assert 0 < taken < len(sew.state_dict())
    assert torch.equal(
        sew.state_dict()["encoder.stem.rest.0.weight"], hubert.state_dict()["encoder.stem.rest.0.weight"]
    )
    assert torch.equal(before, sew.state_dict()["encoder.unfold.weight"])


def test_the_first_filters_are_tones() -> None:
    bank = tones(64, 320)
    peaks = torch.fft.rfft(bank, 16_000).abs().argmax(1)
    assert bank.shape == (64, 320)
    torch.testing.assert_close(bank.norm(dim=1), torch.ones(64))
    assert int(peaks[0]) == pytest.approx(80, abs=30)
    assert int(peaks[31]) == pytest.approx(7000, abs=30)
    torch.testing.assert_close(peaks[:32].float(), peaks[32:].float(), atol=30, rtol=0)


@pytest.mark.parametrize(("family", "first"), [("lasr", 200 + 6 * 160), ("hubert", 160 + 480), ("speech2text", 200)])
def test_a_frame_is_told_the_phoneme_at_its_middle(family: str, first: int) -> None:
    model = newborn(STUDENTS[family], 0)
    found = places(model, 20, steps=1000)
    assert abs(int(found[0]) * 160 - first) <= 320
    step = model.encoder.shape.stride * model.frontend.hop
    assert int(found[-1] - found[0]) == pytest.approx(19 * step / 160, abs=1)
    assert int(places(model, 20, steps=12).max()) == 11


def test_the_rate_goes_up_and_down_and_phonemes_fade() -> None:
    course = Course(100, 2.0, 0, iter, 100)  # type: ignore[arg-type]
    rates = [course.rate_at(step) for step in range(100)]
    assert max(rates) == pytest.approx(2.0, rel=0.03)
    assert rates.index(max(rates)) == pytest.approx(5, abs=1)
    assert 0 < rates[-1] < 0.05
    assert [course.phonemes_at(step) for step in (0, 25, 99)] == [1, 0.5, 0.1]


@pytest.mark.parametrize(("joined", "kinds"), [((), ["AdamW"]), ((4, 8), ["AdamW", "Muon"])])
def test_every_weight_is_moved_by_one_optimizer(joined: tuple[int, ...], kinds: list[str]) -> None:
    model = newborn(STUDENTS["lasr"], 0)
    teacher = teacher_of(model, STUDENTS["lasr"], PHONEMES)
    course = Course(100, 2.0, 0, iter, 100, joined)  # type: ignore[arg-type]
    optimizers = optimizers_of(model, teacher, course)
    moved = [weight for each in optimizers for group in each.param_groups for weight in group["params"]]
    assert [type(each).__name__ for each in optimizers] == kinds
    assert sorted(map(id, moved)) == sorted(map(id, (*model.parameters(), *teacher.parameters())))
    assert course.together == (TOGETHER if joined else 1)


def test_a_sharper_attention_has_larger_queries_and_the_same_keys_and_values() -> None:
    model, other = newborn(STUDENTS["lasr"], 0), newborn(STUDENTS["lasr"], 0)
    sharpen(model, 1.5)
    for name, weight in model.state_dict().items():
        before = other.state_dict()[name]
        if name.endswith("attention.inward.weight"):
            before = torch.cat([1.5 * before[:128], before[128:]])
        torch.testing.assert_close(weight, before)


def test_recordings_of_a_lap_grow() -> None:
    laps = [lap for recipe in RECIPES.values() for lap in recipe.courses]
    assert all(lap.joined == tuple(sorted(lap.joined)) for lap in laps)
    assert any(lap.joined for lap in RECIPES["lasr"].courses)


def test_recipes_begin_with_what_was_made_before() -> None:
    made: list[str] = []
    for family, recipe in RECIPES.items():
        assert recipe.begin is None or recipe.begin in made
        assert STUDENTS[family].config["model_type"]
        made.append(family)
    assert set(made) == set(STUDENTS)
