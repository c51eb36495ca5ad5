"""The canvas that goes along with a film: it stays on what moves, and is the same wherever work was split."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_steady import HEIGHT, WIDTH, scene

from stylecore.advection import LAYER_FRAMES, Advection, laid_before
from stylecore.canvas import Layer, Placement, canvas_under
from stylecore.motion import gray_view
from stylecore.pack import blank_pack
from stylecore.pixels import YuvFormat
from stylecore.spec import EngineSpec
from stylecore.stylize import Stylizer
from stylecore.ways import ways_between

STEP_PX, CELL_PX = 2, 4
STILL = (0.0, 0.0)


def pan(count, seed=5):
    """Views of a scene that moves to the left."""
    texture = scene(seed, WIDTH + 6 * (STEP_PX * count // 6 + 1))
    windows = [texture[:, STEP_PX * place : STEP_PX * place + WIDTH] for place in range(count)]
    return [gray_view((255 * window).byte(), 8, HEIGHT) for window in windows]


def placements(views, first=0, drifts=None):
    advection, ways = Advection(), [None, *(ways_between(*pair) for pair in pairwise(views))]
    moved = drifts or [STILL] * len(views)
    given = zip(range(first, first + len(views)), moved, views, ways, strict=True)
    return [advection.add(*each) for each in given]


def marks(placement):
    return canvas_under(placement, HEIGHT, WIDTH, CELL_PX)


def alike(one, other):
    """Correlation of marks (1,2,rows,columns) away from the borders."""
    inner = [each[..., 3:-3, 8:-8].flatten() for each in (one, other)]
    return torch.corrcoef(torch.stack(inner))[0, 1].item()


def test_the_canvas_stays_on_what_moves_though_nobody_knew_the_drift():
    first, *_, last = placements(pan(LAYER_FRAMES))
    cells = STEP_PX * (LAYER_FRAMES - 1) // CELL_PX
    still, gone = marks(first), marks(last)
    assert alike(still.roll(-cells, -1), gone) > 0.6 > 0.3 > alike(still, gone)


def test_where_the_drift_is_known_old_and_new_layers_are_one():
    """They agree on every place, so nothing fades."""
    drifts = [(0.0, -STEP_PX * place / HEIGHT) for place in range(2 * LAYER_FRAMES)]
    halfway = placements(pan(2 * LAYER_FRAMES), drifts=drifts)[LAYER_FRAMES * 3 // 2]
    older, newer = (layer.places[..., 8:-8, 24:-40] for layer in halfway.layers)
    assert (older - newer).abs().max() < 0.3 * CELL_PX / HEIGHT
    drifted = Placement(drifts[LAYER_FRAMES * 3 // 2])
    assert alike(marks(halfway), marks(drifted)) > 0.9


def test_a_new_layer_comes_in_as_the_older_goes():
    shares = [[layer.share for layer in each.layers] for each in placements(pan(3 * LAYER_FRAMES))]
    assert shares[:LAYER_FRAMES] == [[1.0]] * LAYER_FRAMES, "there is but one yet"
    for place, found in enumerate(shares[LAYER_FRAMES:]):
        newer = place % LAYER_FRAMES / LAYER_FRAMES
        assert found == ([1 - newer, newer] if newer else [1.0])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("cells_apart", [0, 1, 40])
def test_layers_together_are_as_strong_as_one(share, cells_apart):
    size = 400
    axis = (torch.arange(size) + 0.5) / size
    places = torch.stack(torch.meshgrid(axis, axis, indexing="ij"))[None]
    layers = [Layer(1 - share, places), Layer(share, places + cells_apart * CELL_PX / size)]
    mixed, alone = (
        canvas_under(Placement(STILL, each), size, size, CELL_PX) for each in (layers, layers[:0])
    )
    assert mixed.std().item() == pytest.approx(alone.std().item(), rel=0.12)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 3 * LAYER_FRAMES - 1), st.integers(0, LAYER_FRAMES))
def test_a_frame_knows_those_since_its_older_layer_was_laid_and_no_other(place, earlier):
    views = pan(3 * LAYER_FRAMES)
    whole = placements(views)[place]
    start = max(0, laid_before(place) - earlier // LAYER_FRAMES * LAYER_FRAMES)
    part = placements(views[start : place + 1], start)[-1]
    assert [layer.share for layer in part.layers] == [layer.share for layer in whole.layers]
    pairs = zip(part.layers, whole.layers, strict=True)
    assert all(torch.equal(one.places, other.places) for one, other in pairs)


def test_after_a_cut_that_nobody_found_the_canvas_lies_as_it_did_at_first():
    made = placements([*pan(4), *pan(4, seed=11)], drifts=[(0.1, 0.2)] * 8)
    known, fresh = marks(made[4]), marks(Placement((0.1, 0.2)))
    assert alike(known, fresh) > 0.95 > alike(marks(made[3]), fresh)


@pytest.mark.parametrize("first", [1, LAYER_FRAMES + 1, 2 * LAYER_FRAMES + 5])
def test_a_shot_painted_from_its_middle_is_painted_as_in_the_whole(first):
    count, form = 2 * LAYER_FRAMES + 8, YuvFormat("bt709", False, gray=True)
    pack = blank_pack("painter", ["plain"], 5, width=8)
    stylizer = Stylizer(pack, "plain", form, EngineSpec(), steady=1)
    frames = [[torch.from_numpy(view)] for view in pan(count)]
    state = stylizer.survey(frames[::8])
    whole = stylizer.stylize(frames, state)
    lead = laid_before(first - 1)
    shown = list(stylizer.shown(frames[lead:], range(lead, count), [STILL] * (count - lead)))
    painted = list(stylizer.steadied(shown[first - 1 - lead :], state))[1:]
    made = [stylizer.lay(each).take() for each in painted]
    assert all(torch.equal(one[0], other[0]) for one, other in zip(made, whole[first:], strict=True))
