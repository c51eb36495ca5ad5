"""Fast forms of a network are the network: doubling inside the convolution, statistics in the weights."""

import pytest
import torch
import torch.nn.functional as F

from stylecore.folding import Folding
from stylecore.networks.convolution import Conv, convolve, twofold
from stylecore.networks.doubling import REPEATED, SMOOTH, DoublingConv, mirror_pixels, on_cells, placed
from stylecore.normalize import FoldedNorm, FrozenNorm, SurveyNorm
from stylecore.pack import blank_pack


@pytest.mark.parametrize(("shares", "mode"), [(SMOOTH, "bilinear"), (REPEATED, "nearest")])
def test_doubling_and_convolving_is_one_step(shares, mode):
    torch.manual_seed(0)
    conv, x = DoublingConv(5, 3, shares), torch.randn(2, 5, 9, 14)
    conv.bias = torch.nn.Parameter(torch.randn(3))
    doubled = F.interpolate(x, scale_factor=2, mode=mode)
    expected = F.conv2d(F.pad(doubled, (1, 1, 1, 1), mode="reflect"), conv.weight, conv.bias)
    with torch.no_grad():
        made = conv(x)
    inner = (..., slice(1, -1), slice(1, -1))
    assert torch.allclose(made[inner], expected[inner], atol=1e-5)
    if mode == "nearest":  # a reflected edge is a repeated one there
        assert torch.allclose(made, expected, atol=1e-5)


@pytest.mark.parametrize("network", ["painter", "johnson"])
def test_folded_statistics_are_the_frozen_ones(network):
    pack = blank_pack(network, ["plain"], seed=3, width=8)
    torch.manual_seed(1)
    pack.vectors["plain"] += 0.2 * torch.randn_like(pack.vectors["plain"])
    rgb, survey = torch.rand(1, 3, 64, 96), SurveyNorm(pack.vectors["plain"], pack.prior)
    with torch.no_grad():
        pack.network(rgb, survey)
        frozen = pack.network(rgb, FrozenNorm(survey.constants, survey.tint))
        fast = Folding(pack.network).folded(survey.constants)(rgb, FoldedNorm(survey.tint))
    assert 0 < (fast - frozen).abs().max() < 1e-3 * frozen.std()
    assert all(conv.bias is None for conv in pack.network.normalized), "the original is left alone"


@pytest.mark.parametrize("network", ["painter", "johnson"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_one_survey_leaves_no_trace_in_the_next(network, dtype):
    pack, rgb = blank_pack(network, ["plain"], seed=3, width=8), torch.rand(1, 3, 64, 96)
    surveys = [SurveyNorm(pack.vectors["plain"], pack.prior) for _ in range(2)]
    with torch.no_grad():
        for dim, survey in enumerate(surveys):
            pack.network(rgb ** (dim + 1), survey)
    folding, fresh = Folding(pack.network), Folding(pack.network)
    first = folding.folded(surveys[0].constants, dtype)
    before = first(rgb, FoldedNorm())
    second = folding.folded(surveys[1].constants, dtype)
    assert second is first, "no new copy for every frame"
    kept = folding.folded(surveys[0].constants).paint_cells
    assert folding.folded(surveys[1].constants).paint_cells is kept, "the last layer takes no statistics"
    with torch.no_grad():
        made = second(rgb, FoldedNorm())
        assert torch.equal(made, fresh.folded(surveys[1].constants, dtype)(rgb, FoldedNorm()))
        assert not torch.equal(made, before)


def test_a_convolution_on_cells_is_that_of_their_pixels():
    torch.manual_seed(0)
    conv, x = Conv(5, 3, bias=True), torch.randn(2, 5, 18, 28)
    cells = F.pad(F.pixel_unshuffle(x, 2), (1, 1, 1, 1), mode="replicate")
    with torch.no_grad():
        assert torch.allclose(F.pixel_shuffle(F.conv2d(cells, *on_cells(conv)), 2), conv(x), atol=1e-5)


@pytest.mark.parametrize("taps", [3, 5, 7, 9])
@pytest.mark.parametrize("size", [(4, 5), (7, 4), (9, 14)])
def test_cells_around_corners_are_convolved_as_their_pixels_are(taps, size):
    torch.manual_seed(taps)
    doubling, conv, x = DoublingConv(5, 4, REPEATED), Conv(4, 3, taps, bias=True), torch.randn(2, 5, *size)
    with torch.no_grad():
        expected = conv(F.relu(doubling(x)))
        kernel, bias = on_cells(conv)
        room = kernel.shape[-1] // 2
        cells = mirror_pixels(doubling.cells(x, relu=True, room=room), room)
        made = placed(convolve(cells, kernel, bias), around_corners=True)
    assert made.shape == expected.shape == (2, 3, 2 * size[0], 2 * size[1])
    assert torch.allclose(made, expected, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_a_bias_and_a_relu_join_a_convolution(dtype, stride, dilation):
    torch.manual_seed(0)
    x, kernel, bias = torch.randn(2, 4, 12, 15), torch.randn(8, 4, 3, 3).to(dtype), 20 + torch.randn(8)
    expected = F.conv2d(x.to(dtype).float(), kernel.float(), bias, stride, dilation=dilation)
    with torch.inference_mode():
        plain = convolve(x, kernel, bias, stride, dilation)
        cut = convolve(x, kernel, bias - 20, stride, dilation, relu=True)
    assert plain.dtype == cut.dtype == dtype and (cut == 0).any()
    room = 0.3 if dtype == torch.bfloat16 else 1e-4
    assert (plain.float() - expected).abs().max() < room
    assert (cut.float() - (expected - 20).clamp(min=0)).abs().max() < room


def test_two_numbers_of_few_bits_hold_one_of_many():
    x, kernel = torch.linspace(0, 255, 4000).view(1, 1, 40, 100), torch.ones(1, 1, 1, 1)
    once, twice = (
        F.conv2d(*(each.float() for each in pair))
        for pair in ((x.bfloat16(), kernel), twofold(x, kernel.bfloat16()))
    )
    assert (once - x).abs().max() > 0.4 and (twice - x).abs().max() < 0.002
    assert twofold(x, kernel) == (x, kernel)


def test_first_layers_stay_exact_where_asked():
    pack, rgb = blank_pack("johnson", ["plain"], seed=3, width=8), torch.rand(1, 3, 64, 96)
    survey = SurveyNorm(pack.vectors["plain"], pack.prior)
    with torch.no_grad():
        exact = pack.network(rgb, survey)
    folding, errors = Folding(pack.network), []
    for count in (0, 2):
        made = folding.folded(survey.constants, torch.bfloat16, count)
        types = [conv.weight.dtype for conv in made.normalized]
        assert types == [torch.float32] * count + [torch.bfloat16] * (len(types) - count)
        assert all(conv.bias.dtype == torch.float32 for conv in made.normalized)
        with torch.no_grad():
            errors.append((made(rgb, FoldedNorm()) - exact).square().mean())
    assert 0 < errors[1] < errors[0]
