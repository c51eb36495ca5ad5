"""Fast forms of a network are the network: doubling inside the convolution, statistics in the weights."""

import pytest
import torch
import torch.nn.functional as F

from stylecore.folding import Folding
from stylecore.networks.doubling import REPEATED, SMOOTH, DoublingConv, on_cells
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
    with torch.no_grad():
        made = second(rgb, FoldedNorm())
        assert torch.equal(made, fresh.folded(surveys[1].constants, dtype)(rgb, FoldedNorm()))
        assert not torch.equal(made, before)


def test_a_convolution_on_cells_is_that_of_their_pixels():
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(5, 3, 3, padding=1, padding_mode="reflect")
    x = torch.randn(2, 5, 18, 28)
    cells = F.pad(F.pixel_unshuffle(x, 2), (1, 1, 1, 1), mode="replicate")
    with torch.no_grad():
        assert torch.allclose(F.pixel_shuffle(F.conv2d(cells, *on_cells(conv)), 2), conv(x), atol=1e-5)
