"""The engine's promises: exact decomposition, an exact identity, quiet dark frames."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stylecore.catalog import drawn_pack
from stylecore.normalize import FrozenNorm, LiveNorm, NormPrior, SurveyNorm, shrink
from stylecore.pack import blank_pack
from stylecore.parts import add_change, apply_change, parts_of
from stylecore.pixels import MATRICES, YuvFormat, _dither, moved_codes, quantize, to_rgb
from stylecore.refit import refit
from stylecore.spec import EngineSpec
from stylecore.stylize import SURVEY_PX, Stylizer, slit_scan, survey_positions
from stylecore.tiling import plan_tiles

FORMATS = [(2, 2), (2, 1), (1, 2), (1, 1)]


def planes(height, width, steps=(2, 2), seed=0, bits=8):
    generator = torch.Generator().manual_seed(seed)
    chroma = (-(-height // steps[1]), -(-width // steps[0]))
    return [
        torch.randint(0, 2**bits, size, generator=generator, dtype=torch.uint8 if bits == 8 else torch.int16)
        for size in ((height, width), chroma, chroma)
    ]


@settings(max_examples=40)
@given(
    st.integers(16, 61),
    st.integers(16, 61),
    st.sampled_from(FORMATS),
    st.sampled_from(sorted(MATRICES)),
    st.booleans(),
    st.integers(8, 12),
    st.integers(0, 99),
)
def test_no_change_is_bit_exact_in_any_format(height, width, steps, matrix, full_range, bits, seed):
    """As films are painted: by the style that changes nothing, frames sharing what there is to share."""
    form = YuvFormat(matrix, full_range, *steps, bits=bits)
    source = [planes(height, width, steps, seed + place, bits) for place in (0, 1)]
    stylizer = Stylizer(drawn_pack("identity"), "identity", form, EngineSpec(), steady=1)
    made = stylizer.stylize(source, stylizer.survey(source))
    assert all(
        torch.equal(a, b)
        for ours, theirs in zip(made, source, strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )


def test_a_change_toward_red_moves_the_right_planes():
    form = YuvFormat("bt709", False)
    gray = [torch.full((32, 32), 126, dtype=torch.uint8), *[torch.full((16, 16), 128, dtype=torch.uint8)] * 2]
    change = torch.zeros(1, 3, 32, 32)
    change[:, 0] = 0.3
    y, u, v = apply_change(gray, change, form, keep_color=False)
    assert y.float().mean() > 126 and u.float().mean() < 128 and v.float().mean() > 150
    kept = apply_change(gray, change, form, keep_color=True)
    assert torch.equal(kept[1], gray[1]) and torch.equal(kept[2], gray[2])


@pytest.mark.parametrize(
    ("code", "full_range", "bits", "value"),
    [
        (16, False, 8, 0.0),
        (235, False, 8, 1.0),
        (0, True, 8, 0.0),
        (255, True, 8, 1.0),
        (64, False, 10, 0.0),
        (940, False, 10, 1.0),
        (1023, True, 10, 1.0),
        (3760, False, 12, 1.0),
        (4095, True, 12, 1.0),
    ],
)
def test_black_and_white_of_each_range_and_depth(code, full_range, bits, value):
    form = YuvFormat("bt601", full_range, gray=True, bits=bits)
    rgb = to_rgb([torch.full((16, 16), code, dtype=torch.int16)], form)
    assert torch.allclose(rgb, torch.full_like(rgb, value))


@pytest.mark.parametrize(
    ("full_range", "codes", "color"),
    [
        (False, (250, 410, 960), (1.0, 0.0, 0.0)),
        (True, (217, 395, 1023), (1.0, 0.0, 0.0)),
        (False, (376, 461, 736), (0.75, 0.25, 0.25)),
        (True, (364, 453, 768), (0.75, 0.25, 0.25)),
    ],
)
def test_ten_bit_red_is_red(full_range, codes, color):
    """BT.709 red, pure and pale, by H.273, 8.3."""
    form = YuvFormat("bt709", full_range, 1, 1, bits=10)
    rgb = to_rgb([torch.full((8, 8), code, dtype=torch.int16) for code in codes], form)[0, :, 0, 0]
    assert torch.allclose(rgb, torch.tensor(color), atol=0.003)


def test_chroma_is_where_it_is_stored():
    """4:2:0 lies on the first of its two columns; a picture's middle of both is a quarter of a step on."""
    form, ramp = YuvFormat("bt709", False), torch.arange(40, 200, 8).expand(24, -1)
    grey = torch.full((48, 40), 120, dtype=torch.uint8)
    parts = parts_of([grey, ramp.byte(), ramp.byte()], form)
    seen = 224 * parts[1][0, 0] + 128
    assert torch.allclose(seen[:, :-1], ramp[:, :-1] + 2.0, atol=1e-3)
    change = [torch.zeros_like(parts[0]), (ramp + 2.0 - 100)[None, None] / 224, torch.zeros_like(parts[2])]
    flat = torch.full_like(ramp, 100, dtype=torch.uint8)
    _, made, _ = add_change([grey, flat, flat], parts, change, form, keep_color=False)
    assert (made.float() - ramp).mean(0)[1:].abs().max() < 0.3


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_a_small_change_survives_as_dither(bits):
    """A tenth of a code value moves a tenth of the samples."""
    form, code = YuvFormat("bt709", True, gray=True, bits=bits), torch.full((64, 64), 100, dtype=torch.int16)
    change = torch.full((1, 3, 64, 64), 0.1 / (2**bits - 1))
    (made,) = apply_change([code], change, form, keep_color=False)
    assert 0.05 < (made.float() - 100).mean() < 0.15


@settings(max_examples=25)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([0.0, 0.3, 20.0, 400.0]), st.booleans())
def test_codes_move_by_one_pass_as_by_many(height, width, size, turned):
    """To the nearest code, and where two are as near, to either."""
    form = YuvFormat("bt709", True, gray=True)
    codes = torch.randint(0, 256, (height, width), dtype=torch.uint8)
    change = size * torch.randn(height, width)
    if turned:
        codes, change = codes.T.contiguous().T, change.T.contiguous().T
    made = moved_codes(codes, change, form)
    exact = (codes.double() + change + _dither(height, width, codes.device)).clamp(0, 255)
    for each in (made, quantize(codes + change, form)):
        assert (each - exact).abs().max() < 0.5001
    assert size or torch.equal(made, codes)


def test_refitting_to_the_same_is_the_same_and_deeper_and_back_too():
    eight, ten = YuvFormat("bt709", False), YuvFormat("bt709", False, bits=10)
    source = planes(31, 46)
    assert all(a is b for a, b in zip(refit(source, eight, eight), source, strict=True))
    deep = refit(source, eight, ten)
    assert all(torch.equal(a, 4 * b.short()) for a, b in zip(deep, source, strict=True))
    assert all(map(torch.equal, refit(deep, ten, eight), source))


@pytest.mark.parametrize("steps", [(1, 1), (2, 1)])
@pytest.mark.parametrize("size", [(48, 64), (31, 45)])
def test_more_chroma_is_the_same_picture(steps, size):
    less, more = YuvFormat("bt709", False), YuvFormat("bt709", False, *steps, bits=10)
    ramp = torch.linspace(60, 190, 64)
    chroma = ramp[: -(-size[1] // 2)].expand(-(-size[0] // 2), -1).round().byte()
    source = [torch.full(size, 120, dtype=torch.uint8), chroma, chroma.flip(1)]
    made = refit(source, less, more)
    assert [plane.shape for plane in made[1:]] == [(-(-size[0] // steps[1]), -(-size[1] // steps[0]))] * 2
    assert (to_rgb(made, more) - to_rgb(source, less)).abs().max() < 0.004


class Together(EngineSpec):
    """Batches as on a GPU, where there is none."""

    device_class = "cuda"


def test_identity_style_gives_the_source_back():
    frames = [planes(50, 70, seed=seed) for seed in range(3)]
    stylizer = Stylizer(drawn_pack("identity"), "identity", YuvFormat("bt709", False), Together(batch=2))
    painted = stylizer.stylize(frames, stylizer.survey(frames))
    assert all(
        torch.equal(a, b)
        for old, new in zip(frames, painted, strict=True)
        for a, b in zip(old, new, strict=True)
    )


@pytest.fixture(scope="module")
def network_pack():
    return blank_pack("painter", ["plain"], seed=5, width=8)


@pytest.mark.parametrize(("height", "width"), [(96, 160), (121, 81), (67, 202)])
@pytest.mark.parametrize("tile_px", [64, 100])
def test_tiles_equal_the_whole_frame(network_pack, height, width, tile_px):
    form, frame = YuvFormat("bt709", False), planes(height, width, seed=1)
    whole = Stylizer(network_pack, "plain", form, EngineSpec())
    tiled = Stylizer(network_pack, "plain", form, EngineSpec(tile_px=tile_px))
    state = whole.survey([frame])
    pairs = zip(whole.stylize([frame], state)[0], tiled.stylize([frame], state)[0], strict=True)
    assert max((a.int() - b.int()).abs().max() for a, b in pairs) <= 1


def test_a_batch_that_is_not_full_is_filled(network_pack):
    """The last of a shard: as many are painted as ever, and given back are those there are."""
    frames, form = [planes(64, 96, seed=seed) for seed in range(5)], YuvFormat("bt709", False)
    mattes = [torch.full((64, 96), 0.2 * place) for place in range(5)]
    drifts = [(0.01 * place, 0.0) for place in range(5)]
    full = Stylizer(network_pack, "plain", form, Together(batch=2))
    state = full.survey(frames)
    made = full.stylize(frames, state, 0, mattes, drifts)
    alone = Stylizer(network_pack, "plain", form, EngineSpec()).stylize(frames, state, 0, mattes, drifts)
    pairs = zip(sum(made, []), sum(alone, []), strict=True)
    assert max((a.int() - b.int()).abs().max() for a, b in pairs) <= 1 and len(made) == 5


def test_a_frame_depends_on_itself_alone_after_the_survey(network_pack):
    """The receptive field is what `halo_px` says: a change farther away moves nothing."""
    network, rgb = network_pack.network, torch.rand(1, 3, 64, 400)
    survey = SurveyNorm(network_pack.vectors["plain"], network_pack.prior)
    network(rgb, survey)
    norm, other = FrozenNorm(survey.constants, survey.tint), rgb.clone()
    other[..., 300:] = 0
    with torch.no_grad():
        difference = (network(rgb, norm) - network(other, norm)).abs().amax((0, 1, 2))
    moved = int(torch.nonzero(difference)[0])
    assert 300 - network.halo_px <= moved < 300


def test_strength_zero_is_the_source_and_half_is_between(network_pack):
    frame, form = planes(64, 64), YuvFormat("bt709", False)

    def painted(strength):
        stylizer = Stylizer(network_pack, "plain", form, EngineSpec(), strength=strength)
        return stylizer.stylize([frame], stylizer.survey([frame]))[0][0].int()

    source, half, full = frame[0].int(), painted(0.5), painted(1.0)
    assert torch.equal(painted(0.0), source)
    assert ((half - source).abs() <= (full - source).abs() + 1).all()


def test_the_survey_is_joint_layer_by_layer(network_pack):
    """A batch of two different pictures surveyed together is not the mean of two surveys."""
    network, vector, prior = network_pack.network, network_pack.vectors["plain"], network_pack.prior
    first, second = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64) * 0.2
    norms = [SurveyNorm(vector, prior) for _ in range(3)]
    for norm, rgb in zip(norms, (torch.cat([first, second]), first, second), strict=True):
        network(rgb, norm)
    joint, one, two = (norm.constants[-1][0] for norm in norms)
    assert not torch.allclose(joint, (one + two) / 2, rtol=1e-5)


def test_a_survey_of_one_picture_is_live_normalization(network_pack):
    network, vector, prior = network_pack.network, network_pack.vectors["plain"], network_pack.prior
    rgb = torch.rand(1, 3, 64, 64)
    assert torch.allclose(
        network(rgb, SurveyNorm(vector, prior)), network(rgb, LiveNorm(vector[None], prior)), atol=1e-5
    )


def test_flat_features_take_the_population_statistics():
    prior = NormPrior((2,), torch.tensor([1.0, -1.0]), torch.tensor([4.0, 9.0]))
    vector = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    norm = SurveyNorm(vector, prior)
    out = norm(0, torch.full((1, 2, 8, 8), 3.0))
    assert torch.allclose(out[0, :, 0, 0], torch.tensor([1.0, 4 / 3]), atol=1e-3)


@pytest.mark.parametrize(
    ("values", "share"), [((0.0, 2.0), 1 / 11), ((-3.0, -1.0), 1 / 11), ((5.0, 5.0), 1.0)]
)
def test_statistics_are_those_of_the_sample_mixed_with_the_population(values, share):
    """Population: mean 4, variance 1. Where a sample is flat, it is all population."""
    one, four = torch.ones(1), torch.full((1,), 4.0)
    sample = torch.tensor([values])
    mean, var = shrink(sample.mean(1), sample.var(1, correction=0), four, one)
    second = (1 - share) * sample.square().mean() + share * (1 + 4**2)
    assert torch.allclose(mean, (1 - share) * sample.mean() + share * four, atol=1e-3)
    assert torch.allclose(var + mean**2, second, atol=1e-3)


@given(st.integers(16, 300), st.integers(16, 300), st.integers(16, 200))
def test_tiles_cover_a_frame_once(height, width, tile_px):
    seen = torch.zeros(height, width, dtype=torch.int)
    for tile in plan_tiles(height, width, tile_px, 40, 4):
        top, bottom, left, right = tile.keep
        seen[top:bottom, left:right] += 1
        assert tile.compute[0] % 4 == 0 and tile.compute[2] % 4 == 0
    assert (seen == 1).all()


@pytest.mark.parametrize(
    ("contrasts", "count", "positions"),
    [
        ([10.0] * 12, 3, [2, 6, 10]),  # even content, even spread
        ([0.0] * 20 + [50.0] * 4, 2, [20, 22]),  # a fade from black is surveyed where there is a picture
        ([5.0], 6, [0]),  # one frame is all there is
    ],
)
def test_survey_frames_are_chosen_by_content(contrasts, count, positions):
    assert survey_positions(contrasts, count) == pytest.approx(positions, abs=1)


def test_a_slit_scan_takes_every_band_of_the_picture():
    frames = [torch.full((1, 1, 288, 8), float(number)) for number in range(6)]
    bands = slit_scan(frames)
    assert bands.shape == (6, 1, 48, 8) and sorted(bands[:, 0, 0, 0].tolist()) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("frames", [1, 2, 4, 6])
def test_a_large_picture_is_surveyed_from_top_to_bottom(frames):
    """A short shot in fine strokes: its first rows alone would be a sky that speaks for the ground."""
    ramp = torch.linspace(0, 1, 2160)[:, None].expand(1, 1, 2160, 3840)
    bands = slit_scan([ramp] * frames)
    assert bands.numel() <= 1.1 * SURVEY_PX and abs(bands.mean() - 0.5) < 0.01
    assert bands.min() < 0.1 and bands.max() > 0.9
