"""Fewer bits where a look bears them, and fp32 where it does not: decided once for a shot, by its survey."""

from dataclasses import replace

import pytest
import torch

from stylecore.pack import blank_pack
from stylecore.pixels import RGB, YuvFormat
from stylecore.running import FAITHFUL_DB
from stylecore.spec import EXACT, EngineSpec
from stylecore.stylize import Stylizer

FORM = YuvFormat(RGB, True, 1, 1)


def stylizer(network, precision, gain=1.0):
    pack = blank_pack(network, ["plain"], seed=3, width=8)
    columns = sum(pack.prior.channels)
    pack.vectors["plain"][0, :columns] *= gain
    return Stylizer(pack, "plain", FORM, EngineSpec(precision=precision))


def pictures():
    torch.manual_seed(5)
    broad = torch.nn.functional.interpolate(torch.rand(1, 3, 9, 12), (72, 96), mode="bicubic").clamp(0, 1)
    return [broad, 0.3 * broad, 0.02 * broad]


@pytest.mark.parametrize("network", ["painter", "johnson"])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_fewer_bits_are_the_same_picture(network, precision):
    made = stylizer(network, precision)
    frames = [picture.split(1, 1) for picture in pictures()]
    look = made.survey_parts(frames).at(0)
    assert look.precision == precision
    for frame in frames:
        few, exact = (
            torch.cat(made.change(frame, replace(look, precision=each)), 1) for each in (precision, EXACT)
        )
        error = (few - exact).square().mean()
        assert 0 < error < 10 ** (-FAITHFUL_DB / 10)


def test_a_look_that_does_not_bear_them_is_painted_in_full():
    made, frames = stylizer("painter", "bf16", gain=40.0), [picture.split(1, 1) for picture in pictures()]
    look, exact = made.survey_parts(frames).at(0), stylizer("painter", EXACT, gain=40.0)
    assert look.precision == EXACT
    expected = exact.change(frames[0], exact.survey_parts(frames).at(0))
    assert all(map(torch.equal, made.change(frames[0], look), expected))


def test_looks_without_weights_are_always_painted_in_full():
    made = Stylizer(blank_pack("cartoon", ["cartoon"], seed=0), "cartoon", FORM, EngineSpec(precision="fp16"))
    assert made.survey_parts([pictures()[0].split(1, 1)]).at(0).precision == EXACT
