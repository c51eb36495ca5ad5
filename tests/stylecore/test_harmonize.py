"""An element pasted into a painting: only it changes, and it comes nearer to what surrounds it."""

from dataclasses import replace

import pytest
import torch
from conftest import loss_network

from stylecore.errors import PictureError
from stylecore.harmonize import (
    Field,
    HarmonizeSpec,
    agreed,
    carry_field,
    harmonize,
    harmonize_shot,
    nearest_places,
    set_scene,
    used_places,
)

SPEC = HarmonizeSpec(size_px=96, steps=4)


@pytest.fixture(scope="module")
def scene():
    torch.manual_seed(0)
    painting = torch.rand(3, 12, 16).repeat_interleave(6, 1).repeat_interleave(6, 2)
    element = torch.full((3, 50, 70), 0.5)
    matte = torch.zeros(50, 70)
    matte[15:35, 20:50] = 1
    return element, matte, painting


def test_what_is_far_from_the_element_stays_the_painting_to_the_bit(scene):
    steps = list(harmonize(*scene, loss_network(), SPEC))
    laid = set_scene(*scene, SPEC.size_px)
    far = laid.loose[0] == 0
    assert far.any() and torch.equal(steps[-1].picture[:, far], laid.painting[:, far])
    assert [each.step for each in steps] == list(range(1, 9))
    assert not torch.equal(steps[-1].picture, laid.pasted)


def test_both_passes_lower_what_they_ask(scene):
    steps = list(harmonize(*scene, loss_network(), SPEC))

    def style(each):
        return sum(value for name, value in each.losses.items() if name.startswith("style"))

    assert style(steps[3]) < style(steps[0]) and style(steps[7]) < style(steps[4])


def test_a_place_finds_itself():
    torch.manual_seed(0)
    features = torch.rand(1, 8, 6, 7)
    found = nearest_places(features, features, torch.ones(6, 7, dtype=torch.bool))
    assert found.tolist() == list(range(42))


def test_a_field_that_agrees_stays_and_a_lone_voice_joins_in():
    rows, columns = 9, 9
    colors = torch.rand(3, rows, columns)
    steady = torch.arange(rows * columns)
    assert torch.equal(agreed(Field(steady, (rows, columns)), colors).places, steady), "borders too"
    odd = steady.clone()
    odd[4 * columns + 4] = 0
    joined = agreed(Field(odd, (rows, columns)), colors).places
    assert joined[4 * columns + 4] == 4 * columns + 4


def test_each_place_of_the_painting_counts_once(scene):
    laid = set_scene(*scene, SPEC.size_px)
    everyone_likes_one = Field(torch.full((9 * 12,), 13), (9, 12))
    used = used_places(everyone_likes_one, laid)
    assert used.sum() == 9 and used.max() == 1


def test_a_field_goes_along_with_what_moved():
    """Everything moved one cell to the right: its flow back is one cell to the left."""
    rows, columns = 6, 8
    before, fresh = Field(torch.arange(48), (rows, columns)), Field(torch.full((48,), 7), (rows, columns))
    flow = torch.zeros(1, 2, 8 * rows, 8 * columns)
    flow[:, 0] = -8
    certain = torch.ones(1, 1, 8 * rows, 8 * columns)
    certain[..., :8] = 0
    places = carry_field(before, flow, certain, fresh).places.view(rows, columns)
    assert torch.equal(places[:, 1:], before.places.view(rows, columns)[:, :-1])
    assert (places[:, 0] == 7).all()


def test_a_moving_element_does_not_boil(scene):
    """Held still, it hardly changes; each frame harmonized for itself would be painted from its own start."""
    element, matte, painting = scene
    first, second, third = harmonize_shot([(element, matte)] * 3, painting, loss_network(), SPEC)
    moved = (second - first).square().mean(), (third - second).square().mean()
    pasted = set_scene(element, matte, painting, SPEC.size_px).pasted
    assert max(moved) < 0.1 * (first - pasted).square().mean()


def test_what_is_seen_for_the_first_time_begins_in_the_colors_of_what_is_painted(scene):
    """Two frames of noise: no motion is certain between them."""
    element, matte, painting = scene
    elements = [element + 0.2 * torch.rand_like(element) for _ in range(2)]
    inside = set_scene(element, matte, painting, SPEC.size_px).matte[0] > 0.9
    spec = replace(SPEC, steps=30)
    shot = harmonize_shot([(each, matte) for each in elements], painting, loss_network(), spec)
    pasted = [set_scene(each, matte, painting, spec.size_px).pasted for each in elements]
    moved = [(painted - before)[:, inside].mean(1) for painted, before in zip(shot, pasted, strict=True)]
    assert moved[0].norm() > 0.03
    assert (moved[1] - moved[0]).norm() < 0.35 * moved[0].norm(), moved


def test_an_element_that_comes_back_begins_anew(scene):
    """While its matte is black the painting is all there is, and nothing of before is remembered."""
    element, matte, painting = scene
    quick = replace(SPEC, steps=1)
    came_back = (1 - element.roll(5, 2), matte)
    shot = [(element, matte), (element, 0 * matte), came_back]
    _, away, again = harmonize_shot(shot, painting, loss_network(), quick)
    (alone,) = harmonize_shot([came_back], painting, loss_network(), quick)
    assert torch.equal(away, set_scene(element, matte, painting, 96).painting)
    assert torch.equal(again, alone)


def test_a_black_matte_is_refused(scene):
    element, matte, painting = scene
    with pytest.raises(PictureError, match="black everywhere"):
        set_scene(element, 0 * matte, painting, 96)
