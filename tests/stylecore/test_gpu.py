"""What only a GPU can show: the frames of a CPU in fp32, over the bus, at any batch, and nobody waiting.

`make test-gpu` on a machine with a CUDA device; without one these tests fail.
"""

import math

import pytest
import torch
import torch.nn.functional as F

from pipelines.looks import USUAL_STEADY
from pipelines.overlap import late
from stylecore.catalog import find_style
from stylecore.pixels import YuvFormat
from stylecore.running import FAITHFUL_DB
from stylecore.spec import EXACT, EngineSpec
from stylecore.steady import Steadier
from stylecore.stylize import Stylizer

pytestmark = pytest.mark.gpu
FORM = YuvFormat("bt709", False)
LOOKS = ("starry-night", "cartoon", "ink", "noir", "watercolor")
COUNT = 6


@pytest.fixture(scope="module")
def frames():
    """1080p: broad shapes and grain."""
    random = torch.Generator().manual_seed(7)

    def plane(height, width):
        broad = F.interpolate(torch.rand(1, 1, 18, 32, generator=random), (height, width), mode="bicubic")[
            0, 0
        ]
        grain = 0.02 * torch.randn(height, width, generator=random)
        return (16 + 219 * (broad + grain).clamp(0, 1)).round().byte()

    return [[plane(1080, 1920), plane(540, 960), plane(540, 960)] for _ in range(COUNT)]


def stylizer(look, device, precision=EXACT, batch=1, steady=USUAL_STEADY):
    pack, name = find_style(look)
    return Stylizer(pack, name, FORM, EngineSpec(device, batch, precision=precision), steady=steady)


def drifts(first, count):
    return [(0.002 * place, 0.001 * place) for place in range(first, first + count)]


def shown(made, frames):
    return list(made.shown(frames, range(len(frames)), drifts(0, len(frames))))


def begun(made, state, frames):
    """As a shard is painted: frames on their way back."""
    yield from map(made.lay, made.steadied(shown(made, frames), state))


def over_the_bus(made, state, frames, batch):
    """Batches begun before the last ones have come back."""
    return [arrival.take() for arrival in late(begun(made, state, frames), made.bus.late * batch)]


def farthest(one, other):
    return max(each.abs().max() for each in errors(one, other))


def errors(one, other):
    """Of planes, in codes."""
    pairs = zip(one, other, strict=True)
    return [a.float() - b.float() for p, q in pairs for a, b in zip(p, q, strict=True)]


def worst_psnr(one, other):
    """Of the planes, in dB."""
    return min(
        10 * math.log10(255**2 / max(float(each.square().mean()), 1e-9)) for each in errors(one, other)
    )


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("precision", [EXACT, "fp16"])
def test_frames_are_those_of_a_cpu(look, precision, frames):
    """Within a code in fp32; with fewer bits the same picture."""
    there = stylizer(look, "cuda:0", precision)
    state = there.survey(frames)
    made = over_the_bus(there, state, frames[:2], 1)
    assert all(plane.is_pinned() for planes in made for plane in planes)
    here = stylizer(look, "cpu")
    expected = here.stylize(frames[:2], here.survey(frames), 0, None, drifts(0, 2))
    assert precision != EXACT or farthest(made, expected) <= 1
    assert worst_psnr(made, expected) >= FAITHFUL_DB


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_the_bus_changes_nothing(batch, frames):
    made = stylizer("starry-night", "cuda:0", "fp16", batch)
    state, alone = made.survey(frames), []
    for place in range(0, COUNT, batch):
        alone += made.strokes(shown(made, frames)[place : place + batch], state)
        torch.cuda.synchronize()
    steadier = Steadier(made.steady)
    alone = [made.lay(each).take() for each in [*steadier.add(alone), *steadier.rest()]]
    for _ in range(20):
        assert farthest(over_the_bus(made, state, frames, batch), alone) == 0


@pytest.mark.parametrize("first", [1, 3])
def test_a_frame_is_the_same_wherever_its_film_was_cut(first, frames):
    made = stylizer("starry-night", "cuda:0", "fp16", 4, steady=1)
    state = made.survey(frames)
    whole = over_the_bus(made, state, frames, 4)
    head = made.stylize(frames[: first + 1], state, 0, None, drifts(0, first + 1))[:first]
    painted = made.steadied(shown(made, frames)[first - 1 :], state)
    rest = [made.lay(each).take() for each in painted][1:]
    assert farthest(head + rest, whole) == 0


@pytest.mark.parametrize("look", LOOKS)
def test_nobody_waits_for_the_gpu_before_frames_are_taken(look, frames):
    made = stylizer(look, "cuda:0", "fp16")
    state = made.survey(frames)
    over_the_bus(made, state, frames, 1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        coming = list(begun(made, state, frames, 1))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len([arrival.take() for arrival in coming]) == COUNT
