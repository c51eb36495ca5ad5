"""Every style in the box: it decomposes exactly, shows no artefacts, says where it comes from."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from stylecore.artefacts import CHECKS, check_style, scene
from stylecore.catalog import BUNDLED, DRAWN, bundled_styles, drawn_pack, find_style, style_names
from stylecore.images import to_image
from stylecore.pixels import YuvFormat
from stylecore.spec import EngineSpec
from stylecore.stylize import Stylizer

STYLES = [name for name in style_names() if name != "identity"]
PAINTED = [
    "starry-night",
    "great-wave",
    "scream",
    "turner",
    "kandinsky",
    "wheat-field",
    "gauguin",
    "seurat",
    "monet",
    "cezanne",
    "gris",
    "renoir",
]
FORM = YuvFormat("bt709", True, 1, 1)


def moving_scene(count=3):
    """The drawn scene on its way to the left, as planes."""
    codes = scene().mul(255).round().byte()
    return [list(codes.roll(-5 * number, 2)[:, 20:140, :176].contiguous()) for number in range(count)]


def far(first, second):
    return max(int((a.int() - b.int()).abs().max()) for a, b in zip(first, second, strict=True))


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "any.png"
    to_image(scene()[[2, 0, 1]]).save(path)
    return str(path)


@pytest.mark.parametrize("style", [*STYLES, "any picture", "scream:0.4+seurat:0.6"])
def test_pieces_make_the_whole(style, picture):
    pack, name = find_style(picture if style == "any picture" else style)
    frames = moving_scene()
    whole = Stylizer(pack, name, FORM, EngineSpec())
    state = whole.survey(frames)
    expected = whole.stylize(frames, state)
    one_by_one = [whole.stylize([frame], state, place)[0] for place, frame in enumerate(frames)]
    tiled = Stylizer(pack, name, FORM, EngineSpec(tile_px=64)).stylize(frames, state)
    for frame in range(3):
        assert far(one_by_one[frame], expected[frame]) == 0
        assert far(tiled[frame], expected[frame]) <= 1
        assert far(expected[frame], frames[frame]) > 20, "and it is painted"


QUICK = {"starry-night", "seurat", "cartoon", "noir"}


@pytest.mark.parametrize(
    "style", [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in STYLES]
)
def test_no_style_in_the_box_shows_artefacts(style):
    found = check_style(*find_style(style))
    assert [finding for finding in found if finding.is_fault] == []


def test_the_box_holds_what_it_says_and_stays_small():
    assert set(PAINTED) <= set(bundled_styles()) and {"cartoon", "noir", "ink", "watercolor"} <= set(DRAWN)
    assert sum(path.stat().st_size for path in BUNDLED.rglob("*") if path.is_file()) < 25e6


@pytest.mark.parametrize("style", PAINTED)
def test_a_painted_style_tells_its_origin(style):
    pack, name = find_style(style)
    card = pack.cards[name]
    assert card["work"] and card["artist"] and int(card["year"]) < 1956
    assert pack.recipe["steps"] and pack.recipe["contents"] and pack.recipe["losses"]


# -- the checks themselves -----------------------------------------------------------------------------------


class Fault(nn.Module):
    """A network that does one thing wrong."""

    stride_px, halo_px, design_height_px, keeps_black, norm_channels = 1, 0, 0, True, ()

    def prepare(self, rgb, placements=()):
        return rgb

    def __init__(self, wrong):
        super().__init__()
        self.wrong = wrong

    def forward(self, rgb, norm):
        return self.wrong(rgb).clamp(0, 1)


def grid(rgb):
    columns = torch.arange(rgb.shape[-1]) % 4 < 2
    return rgb + 0.02 * columns


def bubbles(rgb):
    made = rgb.clone()
    made[..., 90:96, 90:96] += 0.3
    return made


FAULTS = {
    "grid": grid,
    "black": lambda rgb: rgb + 0.1,
    "flat": bubbles,
    "marks": lambda rgb: rgb + 0.3 * (torch.arange(rgb.shape[-1]) % 9 < 4),
    "noise": lambda rgb: torch.lerp(rgb.mean((2, 3), keepdim=True).expand_as(rgb), rgb, 12.0),
    "dead": lambda rgb: rgb.round().mean((2, 3), keepdim=True).expand_as(rgb),
    "fade": lambda rgb: rgb + 0.5 * (rgb.mean() > 0.25),
    "finite": lambda rgb: rgb / (rgb.amax() - 1),
}


@pytest.mark.parametrize("check", CHECKS)
def test_a_planted_fault_is_found(check):
    measure, limit = CHECKS[check]
    pack = replace(drawn_pack("identity"), network=Fault(FAULTS[check]))
    assert not measure(pack, "identity") <= limit


def test_the_film_itself_has_no_artefacts():
    assert not any(finding.is_fault for finding in check_style(drawn_pack("identity"), "identity"))
