"""Whole shots by optimization and harmonization, as a film's frames: any size, and as much of it as asked."""

import pytest
import torch

from stylecore import frame_by_frame
from stylecore.frame_by_frame import FrameByFrame, small_of
from stylecore.images import to_image
from stylecore.inserted import Inserted
from stylecore.pixels import YuvFormat
from stylecore.spec import EngineSpec, StyleSpec

GREY = YuvFormat("bt709", False, gray=True)


@pytest.fixture
def painting(tmp_path):
    torch.manual_seed(1)
    to_image(torch.rand(3, 20, 30).repeat_interleave(8, 1).repeat_interleave(8, 2)).save(tmp_path / "p.png")
    return str(tmp_path / "p.png")


@pytest.mark.parametrize("size", [(16, 16), (40, 40), (480, 40), (20, 400), (1080, 120)])
def test_no_side_is_too_small_to_be_looked_at(size):
    (small,) = small_of([torch.rand(1, 1, *size)])
    assert min(small.shape[-2:]) >= 48


@pytest.mark.parametrize("method", [FrameByFrame, Inserted])
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_strength_goes_from_the_source_to_the_painting(painting, method, strength):
    look = StyleSpec(painting, "d", strength, method="harmonize" if method is Inserted else "optimize")
    frame, matte = torch.full((40, 40), 120, dtype=torch.uint8), torch.zeros(40, 40)
    matte[10:30, 10:30] = 1
    ((made,),) = method(look, GREY, EngineSpec()).paint([[frame]], [matte])
    assert made.shape == frame.shape
    assert torch.equal(made, frame) if strength == 0 else (made != frame).float().mean() > 0.1


@pytest.fixture
def negatives(monkeypatch):
    """Shots are painted at once, as negatives; what was asked is listed."""
    asked = []

    def paint_shot(frames, regions, encoder, spec):
        asked.append(spec)
        return (1 - frame for frame in frames)

    monkeypatch.setattr(frame_by_frame, "paint_shot", paint_shot)
    return asked


def test_outside_its_matte_a_frame_is_the_source_to_the_bit(painting, negatives):
    frame, matte = torch.full((40, 40), 60, dtype=torch.uint8), torch.zeros(40, 40)
    matte[:, :20] = 1
    look = StyleSpec(painting, "d", method="optimize")
    ((made,),) = FrameByFrame(look, GREY, EngineSpec()).paint([[frame]], [matte])
    assert torch.equal(made[:, 20:], frame[:, 20:]) and (made[:, :19] > 120).all()


@pytest.mark.parametrize(("color", "kept"), [("source", True), ("style", False), ("matched", False)])
def test_source_colours_leave_chroma_to_the_bit(painting, negatives, color, kept):
    shot = [[torch.full((40 // part, 40 // part), 90, dtype=torch.uint8) for part in (1, 2, 2)]]
    look = StyleSpec(painting, "d", color=color, method="optimize")
    painter = FrameByFrame(look, YuvFormat("bt709", False), EngineSpec())
    (made,) = painter.paint(shot, [None])
    same = [torch.equal(*planes) for planes in zip(made, shot[0], strict=True)]
    assert same == [False, kept, kept]


@pytest.mark.parametrize(
    ("options", "scale", "color", "passes"),
    [
        ({}, 1.0, "style", 1),
        ({"brush": 2.0}, 2.0, "style", 1),
        ({"color": "matched", "passes": 3}, 1.0, "matched", 3),
    ],
)
def test_a_shot_is_painted_as_its_look_asks(painting, negatives, options, scale, color, passes):
    look = StyleSpec(painting, "d", method="optimize", **options)
    list(FrameByFrame(look, GREY, EngineSpec()).paint([[torch.zeros(40, 40)]], [None]))
    (spec,) = negatives
    assert (spec.still.wishes.style_scale, spec.still.color, spec.passes) == (scale, color, passes)
