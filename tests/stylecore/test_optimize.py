"""Painting by optimization: what is asked is named, what is given is heeded, and losses fall."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from conftest import loss_network

from stylecore import losses
from stylecore.criterion import Criterion, Region, Style, Wishes, measure_styles
from stylecore.encoders import Encoder
from stylecore.errors import WeightsError
from stylecore.images import fit
from stylecore.optimize import OptimizeSpec, Pyramid, first_picture, optimize

QUICK = OptimizeSpec(size_px=64, smallest_px=64, steps=12)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return loss_network()


@pytest.fixture(scope="module")
def scene():
    """A soft content (3,48,64), and a striped style."""
    torch.manual_seed(5)
    content = F.interpolate(torch.rand(1, 3, 6, 8), (48, 64), mode="bicubic")[0].clamp(0, 1)
    rows = torch.arange(64) // 4 % 2
    style = torch.stack([rows, 1 - rows, rows * 0.5]).float()[:, :, None].expand(3, 64, 64).contiguous()
    return content, style


def painted(content, style, encoder, spec, **more):
    *_, last = optimize(content, [Region([Style(style)])], encoder, spec, **more)
    return last


@pytest.mark.parametrize("style_loss", ["gram", "moments", "wasserstein"])
@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_every_loss_falls_by_either_optimizer(scene, encoder, style_loss, optimizer):
    spec = replace(
        QUICK, optimizer=optimizer, start="content", wishes=Wishes(style_loss, histogram_weight=0.1)
    )
    steps = list(optimize(scene[0], [Region([Style(scene[1])])], encoder, spec))
    first, last = (sum(each.losses.values()) for each in (steps[0], steps[-1]))
    assert last < 0.9 * first
    assert {name.split()[0] for name in steps[0].losses} == {"content", "style", "histogram", "smooth"}
    assert [each.step for each in steps] == list(range(1, 13)) and steps[-1].picture.shape == (3, 48, 64)


def test_the_same_seed_paints_the_same_and_scales_go_from_coarse_to_fine(scene, encoder):
    spec = OptimizeSpec(size_px=128, smallest_px=60, steps=2, start="noise")
    assert spec.scales_px == [64, 128]
    shapes = [tuple(each.picture.shape) for each in optimize(*_asked(scene), encoder, spec)]
    assert shapes == [(3, 48, 64)] * 2 + [(3, 96, 128)] * 2
    once, again, other = (painted(*scene, encoder, replace(spec, seed=seed)).picture for seed in (1, 1, 2))
    assert torch.equal(once, again) and not torch.equal(once, other)


def _asked(scene):
    return scene[0], [Region([Style(scene[1])])]


@pytest.mark.parametrize(("scale", "size"), [(0.5, (32, 32)), (1.0, (64, 64)), (2.0, (128, 128))])
def test_strokes_are_as_large_as_asked(scale, size):
    """A style is looked at in the painting's area, times the scale of its strokes."""
    seen = []

    def look_at(picture, layers):
        seen.append(tuple(picture.shape[-2:]))
        return dict.fromkeys(layers, picture)

    styles, content = [Style(torch.rand(3, 40, 40))], torch.rand(3, 32, 128)
    measure_styles(styles, content, look_at, Wishes(style_scale=scale))
    assert seen == [size]


@pytest.mark.parametrize("start", ["ground", "content", "noise", "color-noise"])
def test_starts_are_what_they_are_called(scene, start):
    content, style = scene
    first = first_picture(content, [Region([Style(style)])], replace(QUICK, start=start))
    assert first.shape == (3, 48, 64) and first.min() >= 0 and first.max() <= 1
    if start == "content":
        assert torch.allclose(first, content, atol=1e-5)
    if start == "color-noise":
        assert set(first.flatten().tolist()) <= set(style.flatten().tolist())
    if start == "ground":
        assert torch.allclose(first.mean((1, 2)), style.mean((1, 2)), atol=0.1)


def test_a_given_picture_is_where_it_begins(scene, encoder):
    given = torch.rand(3, 48, 64)
    nothing = Wishes(style_weight=0, content_weight=0, smooth_weight=0)
    made = painted(*scene, encoder, replace(QUICK, steps=1, wishes=nothing), start=given)
    assert torch.allclose(made.picture, given, atol=1e-5)


def test_layers_weigh_by_name_and_unknown_ones_are_refused_by_name(scene, encoder):
    criterion = Criterion.of_regions(
        *_asked(scene), encoder, Wishes(style_layers={"relu1_1": 3, "relu2_1": 1})
    )
    parts = criterion(scene[0])
    assert {name for name in parts if name.startswith("style")} == {"style relu1_1", "style relu2_1"}
    alone = Criterion.of_regions(*_asked(scene), encoder, Wishes(style_layers={"relu1_1": 1}))(scene[0])
    assert float(parts["style relu1_1"]) == pytest.approx(0.75 * float(alone["style relu1_1"]), rel=1e-4)
    with pytest.raises(WeightsError, match="relu9_9: this loss network has relu1_1"):
        Criterion.of_regions(*_asked(scene), encoder, Wishes(style_layers={"relu9_9": 1}))


def test_styles_mix_by_weight(scene, encoder):
    content, style = scene
    other = torch.rand(3, 64, 64)

    def error(weight):
        asked = [Region([Style(style, 1 - weight), Style(other, weight)])]
        return float(Criterion.of_regions(content, asked, encoder, Wishes())(style[:, :48])["style relu1_1"])

    assert error(0) < error(0.5) < error(1)


COLORS = Wishes("wasserstein")
"""What is asked of styles that are hardly more than a colour."""


def test_a_flat_style_is_no_division_by_zero(scene, encoder):
    made = painted(scene[0], torch.zeros(3, 64, 64), encoder, replace(QUICK, steps=3)).picture
    assert made.isfinite().all() and made.mean() < scene[0].mean()


def test_a_region_is_painted_in_its_own_style(scene, encoder):
    content = fit(scene[0], torch.empty(3, 64, 64))
    left = torch.zeros(64, 64)
    left[:, :32] = 1
    red, blue = (
        torch.tensor(color)[:, None, None].expand(3, 64, 64) for color in ((0.9, 0.1, 0.1), (0.1, 0.1, 0.9))
    )
    noise = 0.1 * torch.rand(3, 64, 64)
    asked = [Region([Style(red + noise)], left), Region([Style(blue + noise)], 1 - left)]
    *_, last = optimize(content, asked, encoder, replace(QUICK, steps=20, start="content", wishes=COLORS))
    made = last.picture.mean(1)
    assert made[0, :24].mean() > made[2, :24].mean() and made[2, 40:].mean() > made[0, 40:].mean()


def test_colours_of_the_source_stay_the_sources(scene, encoder):
    content = torch.rand(3, 1, 1).expand(3, 48, 64) * 0.5 + 0.25
    made = painted(content, scene[1], encoder, replace(QUICK, color="source")).picture
    change = made - content
    inside = ((made > 0) & (made < 1)).all(0)
    assert (change.amax(0) - change.amin(0))[inside].max() < 1e-5 and change.abs().max() > 0.01


def test_a_pyramid_is_the_picture_it_was_made_of():
    for size in ((48, 64), (101, 77), (33, 300)):
        picture = torch.rand(3, *size)
        assert torch.allclose(Pyramid(picture).picture(), picture, atol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"size_px": 32},
        {"smallest_px": 600},
        {"optimizer": "sgd"},
        {"start": "sky"},
        {"color": "x"},
    ],
)
def test_numbers_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError):
        OptimizeSpec(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"style_loss": "l1"}, {"style_layers": {"relu1_1": 0}}, {"style_scale": 0}]
)
def test_wishes_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError):
        Wishes(**wrong)


def test_wasserstein_is_what_the_formula_says_of_diagonal_gaussians():
    torch.manual_seed(0)
    first, second = torch.randn(1, 4, 200, 200), torch.randn(1, 4, 200, 200) * 2 + 1
    wanted = (1**2 + (2 - 1) ** 2) / (2**2 + 1**2)
    asked = losses.moments(second)
    found = losses.wasserstein_error(losses.moments(first), *asked)
    assert found.item() == pytest.approx(wanted, rel=0.02)
    assert losses.wasserstein_error(asked, *asked).item() == pytest.approx(0, abs=1e-3)


def test_histograms_see_what_moments_do_not():
    torch.manual_seed(0)
    normal = torch.randn(1, 2, 100, 100)
    two_peaks = torch.where(normal > 0, 1.0, -1.0)
    quantiles = losses.feature_quantiles(two_peaks)
    assert losses.histogram_error(normal, quantiles).item() > 0.1
    assert losses.histogram_error(two_peaks, quantiles).item() < 0.01


def test_weighted_moments_are_those_of_the_part():
    features, weight = torch.rand(1, 3, 8, 8), torch.zeros(1, 1, 8, 8)
    weight[..., :4] = 0.7
    mean, second = losses.moments(features, weight)
    alone = losses.moments(features[..., :4])
    assert torch.allclose(mean, alone[0], atol=1e-5) and torch.allclose(second, alone[1], atol=1e-5)
