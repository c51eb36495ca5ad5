"""Whole shots by optimization and harmonization, as a film's frames: any size, and as much of it as asked."""

import pytest
import torch

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
