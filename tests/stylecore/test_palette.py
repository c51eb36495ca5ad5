"""Grounds and canvases: what is laid under the paint, before the first stroke."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stylecore.canvas import canvas
from stylecore.color import luma
from stylecore.palette import GREY, Tint, _roots, palette_of

DUSK = torch.tensor([0.2, 0.25, 0.45])
LAMP = torch.tensor([0.95, 0.8, 0.3])
CELLS = [-0.800195, -0.777642, -1.089391, -1.216570, -1.237126, -0.824018]
CELLS += [0.812876, 0.536736, 0.355554, -0.384731, 0.250520, -1.224714]


def two_colors(dark=DUSK, light=LAMP, share=0.3):
    """A palette of a picture that is dusk with lamps in it."""
    lit = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(1)) < share
    return torch.where(lit, light.view(1, 3, 1, 1), dark.view(1, 3, 1, 1))


def test_the_palette_of_black_and_white_is_what_it_was():
    """No picture's colours lie farther apart."""
    black_and_white = two_colors(torch.zeros(3), torch.ones(3), 0.5)
    assert torch.allclose(Tint.between(black_and_white, black_and_white).matrix, torch.eye(3), atol=1e-2)


def ramp(low=0.0, high=1.0):
    return torch.linspace(low, high, 64).expand(1, 3, 64, 64).contiguous()


@given(st.lists(st.floats(-1, 1), min_size=9, max_size=9))
def test_roots_are_roots_and_inverses(values):
    factor = torch.tensor(values).view(3, 3)
    matrix = factor @ factor.T + 1.2e-3 * torch.eye(3)
    root, inverse = _roots(matrix)
    assert torch.allclose(root @ root, matrix, rtol=1e-2, atol=2e-3)
    assert torch.allclose(root @ inverse, torch.eye(3), atol=2e-2)


def test_a_grey_film_takes_the_palettes_dark_colour_in_the_dark_and_its_light_one_in_the_light():
    painted = Tint.ground(ramp(), palette_of(two_colors()))(ramp())[0]
    dark, light = painted[:, 0, 8], painted[:, 0, -8]
    assert dark[2] > dark[0] + 0.05 and light[0] > light[2] + 0.1


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_a_ground_stays_between_the_films_light_and_the_palettes(level):
    film, palette = ramp(level - 0.05, level + 0.05), two_colors()
    made = luma(Tint.ground(film, palette_of(palette))(film)).mean()
    wanted = (luma(film).mean() + luma(palette).mean()) / 2
    assert abs(made - wanted) < 0.03


def test_noise_in_a_flat_frame_is_not_torn_into_colours():
    flat = 0.5 + 0.005 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    painted = Tint.ground(flat, palette_of(two_colors()))(flat)
    assert painted.std((2, 3)).max() < 0.03


def test_each_of_a_batch_has_a_ground_of_its_own():
    films = torch.cat([ramp(), ramp(0.2, 0.4)])
    palettes = torch.cat([palette_of(two_colors()), GREY[None]])
    together = Tint.ground(films, palettes)(films)
    for number in range(2):
        alone = Tint.ground(films[number : number + 1], palettes[number])(films[number : number + 1])
        assert torch.allclose(together[number], alone[0], atol=1e-4)


def test_a_tint_halfway_is_halfway():
    one, other = (Tint.ground(ramp(), each)(ramp()) for each in (palette_of(two_colors()), GREY[None]))
    first, second = Tint.ground(ramp(), palette_of(two_colors())), Tint.ground(ramp(), GREY[None])
    inside = (one > 0.01) & (one < 0.99) & (other > 0.01) & (other < 0.99)
    assert torch.allclose(first.mix(second, 0.5)(ramp())[inside], ((one + other) / 2)[inside], atol=1e-4)


def test_the_canvas_is_the_same_everywhere_and_for_ever():
    assert canvas(2, 3).flatten().tolist() == pytest.approx(CELLS, abs=1e-4)
    assert torch.equal(canvas(2, 3), canvas(100, 75)[..., :2, :3])


def test_specks_are_white_and_bristles_are_long():
    bristles, specks = canvas(256, 256)[0]
    power = torch.fft.fft2(specks).abs().square()
    assert power.max() < 25 * power.mean()
    for marks in (bristles, specks):
        assert abs(marks.mean()) < 0.05 and 0.9 < marks.std() < 1.1

    def likeness(marks):
        """The larger correlation of neighbours three cells apart, across or down, mean over blocks."""
        blocks = marks.view(32, 8, 32, 8).transpose(1, 2)
        pairs = (blocks[..., :-3] * blocks[..., 3:], blocks[..., :-3, :] * blocks[..., 3:, :])
        return torch.stack([pair.mean((-2, -1)) for pair in pairs]).amax(0).mean()

    assert likeness(bristles) > 0.25 > 0.15 > likeness(specks)
