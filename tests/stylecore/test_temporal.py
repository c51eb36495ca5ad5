"""A shot by optimization: steady where motion is certain, anew where it is not, nothing from other shots."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from conftest import loss_network

from stylecore import optimize, temporal
from stylecore.criterion import Region, Style
from stylecore.metrics import error_along
from stylecore.motion import track
from stylecore.optimize import OptimizeSpec
from stylecore.temporal import ShotPainter, TemporalSpec, paint_alone, paint_shot

SPEC = TemporalSpec(OptimizeSpec(size_px=96, smallest_px=96, steps=8, start="noise"), steps=4)


@pytest.fixture(scope="module")
def encoder():
    return loss_network()


@pytest.fixture(scope="module")
def shot():
    """Five frames (3,64,96) of a smooth scene that slides by two pixels a frame."""
    torch.manual_seed(3)
    scene = F.interpolate(torch.rand(1, 3, 12, 20), (72, 120), mode="bicubic")[0].clamp(0, 1)
    return [scene[:, :64, 2 * t : 2 * t + 96].contiguous() for t in range(5)]


@pytest.fixture(scope="module")
def regions():
    torch.manual_seed(4)
    return [Region([Style(torch.rand(3, 16, 16).repeat_interleave(4, 1).repeat_interleave(4, 2))])]


def apart(shot, regions, encoder):
    seeds = (replace(SPEC, still=replace(SPEC.still, seed=seed)) for seed in range(len(shot)))
    return [paint_alone(frame, regions, encoder, spec) for frame, spec in zip(shot, seeds, strict=True)]


@pytest.mark.parametrize("passes", [1, 3])
def test_it_is_far_steadier_than_frames_painted_apart(shot, regions, encoder, passes):
    made = list(paint_shot(shot, regions, encoder, replace(SPEC, passes=passes)))
    motion = track(shot, 1)
    alone = error_along(apart(shot, regions, encoder), motion)
    assert len(made) == 5 and error_along(made, motion) < (0.2 if passes == 1 else 0.8) * alone


def test_frames_stream_and_only_as_many_are_remembered_as_are_looked_back_to(shot, regions, encoder):
    painter = ShotPainter(regions, encoder, replace(SPEC, reach=(1, 2)))
    for frame in shot:
        painter.paint(frame)
    assert len(painter.past) == 2 and torch.equal(painter.past[0][0], shot[-1])


def test_a_place_is_asked_to_agree_with_the_nearest_that_knows_it(shot, regions, encoder):
    painter = ShotPainter(regions, encoder, replace(SPEC, reach=(1, 2)))
    for frame in shot[:2]:
        painter.paint(frame)
    memories = painter._remember(shot[2])
    known = sum(memory.certain for memory in memories)
    assert len(memories) == 2 and known.max() <= 1 and memories[0].certain.mean() > 0.5


def test_a_shot_begins_as_if_nothing_had_been_before(shot, regions, encoder):
    once = list(paint_shot(shot[:2], regions, encoder, SPEC))
    list(paint_shot([frame.flip(-1) for frame in shot[:2]], regions, encoder, SPEC))
    again = list(paint_shot(shot[:2], regions, encoder, SPEC))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


@pytest.mark.parametrize(("passes", "goes_back"), [(2, False), (3, True)])
def test_a_later_pass_goes_back_from_the_last_frame(shot, regions, encoder, passes, goes_back):
    quick = replace(SPEC, passes=passes, steps=1, still=replace(SPEC.still, steps=1))
    brighter = (shot[1] + 0.05).clamp(0, 1)
    once, other = (paint_shot([shot[0], last], regions, encoder, quick) for last in (shot[1], brighter))
    assert torch.equal(next(iter(once)), next(iter(other))) != goes_back


@pytest.mark.parametrize("passes", [1, 2])
def test_a_matched_palette_is_that_of_the_first_frame(shot, regions, encoder, passes, monkeypatch):
    matched, given = [], optimize.in_palette
    for module in (optimize, temporal):
        monkeypatch.setattr(
            module, "in_palette", lambda region, frame: matched.append(frame) or given(region, frame)
        )
    quick = replace(SPEC, passes=passes, steps=1, still=replace(SPEC.still, steps=1, color="matched"))
    assert len(list(paint_shot(shot[:3], regions, encoder, quick))) == 3
    assert [frame is shot[0] for frame in matched] == [True]


@pytest.mark.parametrize(
    "wrong", [{"passes": 0}, {"steps": 0}, {"weight": -1}, {"reach": ()}, {"reach": (2, 1)}]
)
def test_numbers_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError):
        TemporalSpec(**wrong)
