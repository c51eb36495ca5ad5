"""Fewer bits where a look bears them, and fp32 where it does not: decided once for a shot, by its survey."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stylecore.budget import (
    CODED_BYTES_PER_PX,
    FRAME_BYTES_PER_PX,
    HELD_BYTES,
    KEPT_BYTES_PER_PX,
    NETWORK_BYTES_PER_PX,
    WINDOW_BYTES_PER_PX,
    has_room,
    tile_side,
)
from stylecore.encoders import bundled_encoder
from stylecore.normalize import SurveyNorm
from stylecore.pack import blank_pack
from stylecore.pixels import RGB, YuvFormat
from stylecore.running import FAITHFUL_DB
from stylecore.shot import Look, mix_looks
from stylecore.spec import EXACT, EngineSpec
from stylecore.stylize import Stylizer
from stylecore.training.targets import Targets

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
    engines = [stylizer(network, each) for each in (precision, EXACT)]
    frames = [picture.split(1, 1) for picture in pictures()]
    looks = [engine.survey_parts(frames).at(0) for engine in engines]
    assert [look.precision for look in looks] == [precision, EXACT]
    for frame in frames:
        few, exact = (
            torch.cat(engine.change(frame, look), 1) for engine, look in zip(engines, looks, strict=True)
        )
        error = (few - exact).square().mean()
        assert 0 < error < 10 ** (-FAITHFUL_DB / 10)


def surveyed(made, bands, precision):
    norm = SurveyNorm(made.vectors["plain"], made.prior)
    exact = made.network(bands, norm)
    return exact, Look(tuple(norm.constants), norm.tint, None, torch.ones(()), 1.0, precision)


@pytest.mark.parametrize("network", ["painter", "johnson"])
@torch.inference_mode()
def test_channels_are_brought_back_to_their_means(network, monkeypatch):
    made, bands = stylizer(network, "bf16"), torch.cat(pictures()[:2])
    exact, look = surveyed(made, bands, "bf16")
    # What rounded kernels do to a channel, larger.
    rounded_to = made.runner._folding._rounded_to

    def worse(*asked):
        network = rounded_to(*asked)
        network.normalized[0].bias.add_(0.5)
        return network

    monkeypatch.setattr(made.runner._folding, "_rounded_to", worse)
    trued = made.runner.trued(bands, look, made.runner.means(bands, look))
    errors = [(made.runner.paint(bands, each) - exact).square().mean() for each in (look, trued)]
    assert (trued.shifts[0] + 0.5).abs().max() < 0.01
    assert errors[1] < 0.2 * errors[0]


@pytest.mark.parametrize("network", ["painter", "johnson"])
@torch.inference_mode()
def test_what_is_exact_needs_no_truing(network):
    made, bands = stylizer(network, EXACT), torch.cat(pictures()[:2])
    _, look = surveyed(made, bands, EXACT)
    trued = made.runner.trued(bands, look, made.runner.means(bands, look))
    assert max(shift.abs().max() for shift in trued.shifts) < 1e-5


@pytest.mark.parametrize(("layers", "trued"), [(0, False), (0, True), (2, False), (2, True)])
def test_a_look_is_painted_the_fastest_way_that_it_bears(layers, trued, monkeypatch):
    made, frames = stylizer("johnson", "bf16"), [picture.split(1, 1) for picture in pictures()]
    way, seen = (layers, trued), []

    def bears(rgb, look, exact):
        seen.append((look.exact_layers, bool(look.shifts)))
        return seen[-1] == way

    monkeypatch.setattr(made.runner, "bears", bears)
    look = made.survey_parts(frames).at(0)
    assert (look.precision, look.exact_layers, bool(look.shifts)) == ("bf16", layers, trued)
    assert seen == sorted(seen) and seen[-1] == way
    between = mix_looks(look, replace(look, strength=0.5), 0.5)
    assert (between.precision, between.exact_layers, between.shifts) == ("bf16", layers, look.shifts)
    assert (
        mix_looks(look, replace(look, shifts=tuple(gain + 1 for gain, _ in look.constants)), 0.5).precision
        == EXACT
    )


@torch.inference_mode()
def test_a_look_must_bear_fewer_bits_in_every_picture():
    made, bands = stylizer("johnson", EXACT), torch.cat(pictures()[:2])
    exact, look = surveyed(made, bands, EXACT)
    spoiled = exact + torch.tensor([0.0, 0.1]).view(2, 1, 1, 1)
    assert [made.runner.bears(bands, look, each) for each in (exact, spoiled)] == [True, False]


def test_a_look_that_does_not_bear_them_is_painted_in_full():
    made, frames = stylizer("painter", "bf16", gain=40.0), [picture.split(1, 1) for picture in pictures()]
    look, exact = made.survey_parts(frames).at(0), stylizer("painter", EXACT, gain=40.0)
    assert look.precision == EXACT
    expected = exact.change(frames[0], exact.survey_parts(frames).at(0))
    assert all(map(torch.equal, made.change(frames[0], look), expected))


OPENED = {
    "a stylizer": lambda: stylizer("painter", EXACT),
    "training": lambda: Targets.measure([pictures()[0][0]], bundled_encoder(), ["relu1_1"]),
}


@pytest.mark.parametrize("opened", OPENED.values(), ids=OPENED)
def test_a_gpu_is_told_that_fp32_is_fp32(monkeypatch, opened):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    opened()
    assert not torch.backends.cudnn.allow_tf32


def test_looks_without_weights_are_always_painted_in_full():
    made = Stylizer(blank_pack("cartoon", ["cartoon"], seed=0), "cartoon", FORM, EngineSpec(precision="fp16"))
    assert made.survey_parts([pictures()[0].split(1, 1)]).at(0).precision == EXACT


@settings(max_examples=60)
@given(st.integers(64, 2160), st.integers(64, 3840), st.integers(1, 4), st.integers(500, 4000))
def test_a_tile_is_the_largest_that_memory_allows(height, width, larger, limit_mib):
    halo, limit, frame_px = 84, limit_mib << 20, height * width * larger**2
    held = HELD_BYTES + FRAME_BYTES_PER_PX * frame_px

    def bytes_of(side):
        rows, columns = (min(side + 2 * halo, whole) for whole in (height, width))
        return held + NETWORK_BYTES_PER_PX * rows * columns

    try:
        side = tile_side(frame_px, (height, width), halo, limit)
    except ValueError as err:
        assert int(str(err)) == bytes_of(128) > limit
        return
    assert bytes_of(side or max(height, width)) <= limit
    assert side == 0 or bytes_of(side + 64) > limit or side + 64 > max(height, width)


def test_under_a_limit_of_memory_the_picture_is_the_same():
    pack = blank_pack("painter", ["plain"], seed=3, width=8)
    whole = Stylizer(pack, "plain", FORM, EngineSpec())
    large = [part.repeat(1, 1, 4, 4) for part in pictures()[0].split(1, 1)]
    limit = HELD_BYTES + FRAME_BYTES_PER_PX * 288 * 384 + NETWORK_BYTES_PER_PX * 288 * 300
    assert 0 < tile_side(288 * 384, (288, 384), pack.network.halo_px, limit) < 288
    tight = Stylizer(pack, "plain", FORM, EngineSpec(memory_bytes=limit))
    made, tiled = (each.change(large, each.survey_parts([large]).at(0)) for each in (whole, tight))
    assert max((a - b).abs().max() for a, b in zip(made, tiled, strict=True)) < 1 / 255


@settings(max_examples=60)
@given(
    st.integers(64, 2160), st.integers(64, 3840), st.integers(0, 8), st.integers(1, 3), st.integers(500, 6000)
)
def test_where_there_is_room_nothing_is_tiled(height, width, waiting, together, limit_mib):
    size, limit = (height, width), limit_mib << 20
    if has_room(height * width, size, limit, waiting, together):
        assert tile_side(height * width, size, 84, limit, waiting, together) == 0
        kept = KEPT_BYTES_PER_PX * height * width
        assert tile_side(height * width, size, 84, limit - kept, waiting, together) == 0


@pytest.mark.parametrize(("limit_mib", "roomy"), [(0, True), (2048, False), (3072, True)])
def test_4k_in_two_gib_is_painted_whole_by_giving_memory_back(limit_mib, roomy):
    limit = limit_mib << 20
    pack = blank_pack("painter", ["plain"], seed=3, width=8)
    made = Stylizer(pack, "plain", FORM, EngineSpec(memory_bytes=limit), steady=3)
    assert made.has_room(2160, 3840) is roomy
    assert not limit or tile_side(2160 * 3840, (540, 960), pack.network.halo_px, limit, 6) == 0


@pytest.mark.parametrize("together", [2, 3])
def test_a_tile_is_one_of_each_picture_that_is_painted_together(together):
    size, halo = (540, 960), 84
    one = tile_side(1080 * 1920, size, halo, 1060 << 20)
    beside = (together - 1) * (CODED_BYTES_PER_PX * 1080 * 1920 + WINDOW_BYTES_PER_PX * 540 * 960)
    networks = (1060 << 20) - HELD_BYTES - FRAME_BYTES_PER_PX * 1080 * 1920
    limit = (1060 << 20) + beside + (together - 1) * networks
    assert 0 < tile_side(1080 * 1920, size, halo, 1060 << 20, 0, together) < one
    assert tile_side(1080 * 1920, size, halo, limit, 0, together) == one


@pytest.mark.parametrize(("device_class", "smaller"), [("cpu", False), ("cuda", True)])
def test_a_batch_on_a_gpu_is_painted_in_smaller_tiles(monkeypatch, device_class, smaller):
    monkeypatch.setattr(EngineSpec, "device_class", device_class)
    pack, form, sides = blank_pack("painter", ["plain"], seed=3, width=8), YuvFormat(RGB, True, 1, 1), []
    limit = HELD_BYTES + FRAME_BYTES_PER_PX * 288 * 384 + 2 * NETWORK_BYTES_PER_PX * 288 * 330
    made = Stylizer(pack, "plain", form, EngineSpec(batch=2, memory_bytes=limit))
    monkeypatch.setattr(
        made.runner, "paint", lambda seen, look, tile_px: sides.append(tile_px) or seen[:, :3]
    )
    frames = [list((255 * part[0, 0].repeat(4, 4)).byte() for part in pictures()[0].split(1, 1))] * 2
    made.stylize(frames, made.survey(frames))
    assert len(sides) == (1 if smaller else 2) and all(bool(side) == smaller for side in sides)
