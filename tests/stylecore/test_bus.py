"""The way of a frame over a device: nothing but its planes crosses, and it comes back whole and in order."""

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from stylecore.bus import NoBus, open_bus
from stylecore.light import Dynamic
from stylecore.pack import blank_pack
from stylecore.pixels import RGB, YuvFormat
from stylecore.spec import EngineSpec, StyleKey
from stylecore.stylize import Stylizer

FILM = YuvFormat("bt709", False)
FORMS = {
    "film": FILM,
    "alpha": YuvFormat(RGB, True, 1, 1, alpha=True),
    "grey": YuvFormat("bt709", True, gray=True),
    "pq": YuvFormat("bt2020", False, bits=10, dynamic=Dynamic("pq")),
    "hlg": YuvFormat("bt2020", False, bits=10, dynamic=Dynamic("hlg")),
}


def frame(form, height=96, width=160):
    count = 1 if form.gray else 3 + form.alpha
    dtype = torch.uint8 if form.bits == 8 else torch.int16
    steps = [
        (1, 1) if not 0 < place < 3 else (form.chroma_step_y, form.chroma_step_x) for place in range(count)
    ]
    return [torch.zeros(height // down, width // right, dtype=dtype) for down, right in steps]


class Elsewhere(NoBus):
    """A device that knows shapes and no values: what it is asked for is asked for."""

    def carry(self, planes):
        return [plane.to("meta") for plane in planes]


class Crossings(TorchFunctionMode):
    """Types and shapes of what is sent from the CPU to the other device, numbers of the program's own too."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_function__(self, asked, types, given=(), named=None):
        made = asked(*given, **(named or {}))
        if isinstance(made, torch.Tensor) and made.is_meta:
            here = [each for each in tree_leaves(given) if isinstance(each, torch.Tensor) and each.is_cpu]
            fresh = [made] if asked in (torch.tensor, torch.as_tensor, torch.Tensor.new_tensor) else here
            self.found += [(each.dtype, tuple(each.shape)) for each in fresh]
        return made


def sent(form, network="painter", drift=(0.0, 0.0), **options):
    """What crosses for one frame of a shot that is under way."""
    pack = (
        blank_pack(network, ["a", "b"], seed=3, width=8)
        if network == "painter"
        else blank_pack(network, ["a"], 0)
    )
    stylizer = Stylizer(pack, "a", form, EngineSpec(device="meta"), **options)
    stylizer.bus = Elsewhere()
    state = stylizer.survey([frame(form)] * 3)
    stylizer.stylize([frame(form)], state)
    with Crossings() as crossings:
        stylizer.stylize([frame(form)], state, 1, None, [drift])
    return crossings.found


def whole(form):
    return [(plane.dtype, tuple(plane.shape)) for plane in frame(form)]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_nothing_but_whole_numbers_crosses(form):
    assert sent(form, color="matched") == whole(form)


def test_key_frames_send_nothing_more():
    keys = (StyleKey(0, "a", "", 1.0), StyleKey(9, "b", "", 0.5))
    assert sent(FILM, keys=keys) == whole(FILM)


@pytest.mark.parametrize("look", ["cartoon", "ink", "noir", "watercolor"])
def test_drawn_looks_send_nothing_more(look):
    assert sent(FILM, look) == whole(FILM)


def test_a_moving_canvas_is_sent_too():
    assert sent(FILM, drift=(0.1, 0.2)) == [*whole(FILM), (torch.float32, (1, 2, 24, 40))]


def test_motion_and_canvas_go_up_with_the_frames_and_nothing_else_does():
    stylizer = Stylizer(
        blank_pack("painter", ["a"], 3, width=8), "a", FILM, EngineSpec(device="meta"), steady=1
    )
    stylizer.bus = Elsewhere()
    frames = [frame(FILM) for _ in range(3)]
    state = stylizer.survey(frames)
    stylizer.stylize(frames, state)
    with Crossings() as crossings:
        stylizer.stylize(frames, state)
    ways = [(torch.float32, (1, channels, 96, 160)) for channels in (2, 1)]
    canvas = [(torch.float32, (1, 2, 24, 40))]
    assert sorted(crossings.found, key=str) == sorted(3 * whole(FILM) + 4 * ways + 3 * canvas, key=str)


def test_a_cpu_is_where_its_frames_are():
    here, planes = open_bus("cpu"), frame(FILM)
    assert here.late == 0
    assert all(a is b for a, b in zip(here.bring(here.carry(planes)).take(), planes, strict=True))
