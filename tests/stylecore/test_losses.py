"""Losses: zero for equals, larger for what is farther, of finite slope."""

import pytest
import torch
import torch.nn.functional as F

from stylecore import losses


def test_a_lattice_is_told_from_brush_marks():
    torch.manual_seed(0)
    marks = 0.5 + 0.05 * torch.randn(1, 3, 256, 256)
    printed = marks.clone()
    printed[..., ::4, ::4] += 4 / 255
    assert losses.lattice(printed) > 5 * losses.lattice(marks) and losses.lattice(marks) < 1e-5


def test_a_flat_picture_asks_for_little_content():
    still, moved = torch.full((2, 4, 8, 8), 0.5), torch.full((2, 4, 8, 8), 0.6)
    assert losses.content_loss(moved, still).min() > 1000
    assert losses.content_loss(moved, still, still=0.02).max() < 3


@pytest.mark.parametrize("name", losses.STYLE_LOSSES)
def test_a_style_loss_is_zero_for_equals_and_has_a_finite_slope(name):
    torch.manual_seed(3)
    features, other = torch.rand(2, 8, 12, 12), (torch.rand(2, 8, 12, 12) * 0.4).requires_grad_(True)
    moments = features.mean((2, 3)), losses.gram(features)
    error = losses.STYLE_LOSSES[name]
    assert error(losses.moments(features), *moments).abs().max() < 1e-3
    assert error(losses.moments(other), *moments).min() > 1e-3
    error(losses.moments(other), *moments).sum().backward()
    assert torch.isfinite(other.grad).all() and other.grad.abs().max() > 0


def test_losses_are_zero_for_equals_and_grow_with_distance():
    torch.manual_seed(0)
    picture, other = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64) * 0.3
    grams = {"x": losses.gram(picture)}
    assert losses.style_loss(grams, grams).max() == 0
    assert losses.style_loss({"x": losses.gram(other)}, grams).min() > 0
    directions = torch.eye(3)
    own = torch.stack([losses.palette_quantiles(p, directions) for p in picture])
    assert (losses.palette_loss(picture, own, directions) < losses.palette_loss(other, own, directions)).all()
    assert (
        losses.tone_loss(picture, picture).max() == 0 and losses.total_variation(torch.ones(1, 3, 8, 8)) == 0
    )


def test_drawing_is_asked_for_where_there_is_some():
    torch.manual_seed(0)
    face = F.interpolate(torch.rand(1, 3, 8, 8), (64, 64), mode="bicubic").clamp(0, 1)
    sky, strokes = torch.full_like(face, 0.5), 0.3 * torch.randn_like(face)
    assert losses.drawing_loss(face, face) < 0.01, "itself"
    assert losses.drawing_loss(0.2 + 0.5 * face, face) < 0.02, "paler, and still itself"
    assert losses.drawing_loss(1 - face, face) > 1.5, "dark for light"
    assert 0.1 < losses.drawing_loss(face + strokes, face) < losses.drawing_loss(strokes, face)
    assert losses.drawing_loss(sky + strokes, sky) < 1e-3, "a plain sky takes any stroke"
