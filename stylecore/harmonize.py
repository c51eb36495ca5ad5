"""Painterly harmonization (Luan 2018): an element pasted into a painting is made to belong there.

Pass 1 asks, layer by layer, for the statistics of those places of the painting that look most like the
element's places; it finds the colours and the strokes. Pass 2 matches its result once, at relu4_1, lets
neighbours agree, and asks at all layers for the statistics of that one set of places, each counted once.

Deviations: relative losses instead of normalized gradients; quantile functions instead of 256-bin histograms;
neighbours agree by the distance of colours; no PatchMatch post-filter.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecore.criterion import Criterion, Wanted, Wishes
from stylecore.encoders import Encoder
from stylecore.errors import PictureError
from stylecore.images import fit, resize_long_side
from stylecore.motion import follow, warp
from stylecore.optimize import Ask, Iterate, OptimizeSpec, descend, last_picture
from stylecore.temporal import Memory, softened, with_memory

MATCH_LAYER = "relu4_1"
_PASS_1_LAYERS = ("relu3_1", "relu4_1", "relu5_1")
_PASS_2_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
_FRINGE = 0.02
"""How far around the element, of the painting's longest side, paint may change too."""
_BROAD = 0.03
"""How far around a place its change of colour is taken from, of the longest side."""
_SEEN = 0.5
"""A matte that is nowhere whiter is black."""
_ROWS = 512
"""Places matched at once."""


@dataclass(frozen=True)
class HarmonizeSpec:
    """Every number of one harmonization."""

    size_px: int = 512
    """Longest side of the painting."""
    steps: int = 60
    """Of each pass."""
    content_weight: float = 0.6
    histogram_weight: float = 0.3
    smooth_weight: float = 0.5
    temporal_weight: float = 30.0
    """Pull toward the frame before, on a shot."""
    descent: OptimizeSpec = field(default_factory=OptimizeSpec)


@dataclass(frozen=True)
class Field:
    """For each place (h*w,) of the picture at a layer, the place in the painting that it follows."""

    places: Tensor
    size: tuple[int, int]
    """Rows and columns of that layer."""


@dataclass(frozen=True)
class Scene:
    """Painting and element as pasted (3,H,W), its matte, and the wider one that may change (1,H,W)."""

    painting: Tensor
    pasted: Tensor
    matte: Tensor
    loose: Tensor


def set_scene(element: Tensor, matte: Tensor, painting: Tensor, size_px: int) -> Scene:
    """The element (3,H,W) laid where the matte (H,W) is white onto the painting, at the painting's shape."""
    ground = resize_long_side(painting, size_px)
    tight = fit(matte[None], ground)
    if float(tight.max()) < _SEEN:
        raise PictureError("the matte is black everywhere: white is where the element is")
    reach = 2 * max(1, round(_FRINGE * size_px)) + 1
    loose = F.max_pool2d(tight[None], reach, stride=1, padding=reach // 2)
    loose = F.avg_pool2d(loose, reach, stride=1, padding=reach // 2, count_include_pad=False)[0]
    return Scene(ground, torch.lerp(ground, fit(element, ground), tight), tight, torch.maximum(loose, tight))


def harmonize(
    element: Tensor, matte: Tensor, painting: Tensor, encoder: Encoder, spec: HarmonizeSpec
) -> Iterator[Iterate]:
    """Both passes on a still, yielding after each step; the last is the painting with the element in it."""
    encoder = encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    scene = set_scene(element, matte, painting, spec.size_px)
    drafted = scene.pasted
    for each in _run(scene, scene.pasted, first_pass(scene, encoder, spec), spec):
        drafted = each.picture
        yield replace(each, steps=2 * spec.steps)
    found = match(drafted, scene, encoder)
    for each in _run(scene, scene.pasted, second_pass(scene, found, encoder, spec), spec):
        yield replace(each, step=spec.steps + each.step, steps=2 * spec.steps)


def harmonize_shot(
    elements: Iterable[tuple[Tensor, Tensor]], painting: Tensor, encoder: Encoder, spec: HarmonizeSpec
) -> Iterator[Tensor]:
    """A moving element (3,H,W) with its matte (H,W), frame after frame, in a still painting.

    The first frame is harmonized in both passes. After it, what an element's place follows in the painting
    goes along with it, and only places that were not seen before are matched anew: so it does not boil. While
    the matte is black, the painting is all there is.
    """
    before: tuple[Scene, Field, Tensor] | None = None
    for element, matte in elements:
        if float(fit(matte[None], element).max()) < _SEEN:
            before = None
            yield resize_long_side(painting, spec.size_px)
            continue
        scene = set_scene(element, matte, painting, spec.size_px)
        if before is None:
            painted = last_picture(harmonize(element, matte, painting, encoder, spec))
            before = scene, match(painted, scene, encoder), painted
        else:
            before = _next_frame(scene, before, encoder, spec)
        yield before[2]


def _next_frame(
    scene: Scene, before: tuple[Scene, Field, Tensor], encoder: Encoder, spec: HarmonizeSpec
) -> tuple[Scene, Field, Tensor]:
    earlier, found, painted = before
    flow, certain = follow(scene.pasted, earlier.pasted)
    memory = Memory(warp(painted[None], flow), certain.float())
    recolored = scene.pasted + warp(_broad(painted - earlier.pasted, earlier.matte), flow)[0]
    start = torch.lerp(recolored, memory.painted[0], softened(memory.certain)[0]).clamp(0, 1)
    found = carry_field(found, flow, memory.certain, match(start, scene, encoder))
    ask = with_memory(second_pass(scene, found, encoder, spec), [memory], spec.temporal_weight)
    steps = _run(scene, start, ask, replace(spec, steps=max(1, spec.steps // 3)))
    return scene, found, last_picture(steps)


def _broad(change: Tensor, matte: Tensor) -> Tensor:
    """What paint did to the element's colours around each place, (1,3,H,W): what is new in it begins so."""
    reach = 2 * max(1, round(_BROAD * max(change.shape[-2:]))) + 1
    kept, shown = (F.avg_pool2d(each[None], reach, 1, reach // 2) for each in (change * matte, matte))
    return kept / shown.clamp(min=1e-3) * (shown > 0.02)


def carry_field(found: Field, flow: Tensor, certain: Tensor, fresh: Field) -> Field:
    """The field of the frame before, moved along `flow` (1,2,H,W); `fresh` where that is uncertain."""
    rows, columns = found.size
    height, width = flow.shape[-2:]
    moved = F.interpolate(flow, found.size, mode="area")[0]
    down, right = moved[1] * rows / height, moved[0] * columns / width
    y = (torch.arange(rows, device=flow.device)[:, None] + down).round().long().clamp(0, rows - 1)
    x = (torch.arange(columns, device=flow.device) + right).round().long().clamp(0, columns - 1)
    known = F.interpolate(certain, found.size, mode="area").flatten() > 0.5
    return replace(found, places=torch.where(known, found.places[(y * columns + x).flatten()], fresh.places))


def _run(scene: Scene, start: Tensor, ask: Ask, spec: HarmonizeSpec) -> Iterator[Iterate]:
    def composed(picture: Tensor) -> Tensor:
        return torch.lerp(scene.pasted, picture, scene.loose)

    for each in descend(
        start, lambda picture: ask(composed(picture)), replace(spec.descent, steps=spec.steps)
    ):
        yield replace(each, picture=composed(each.picture))


def first_pass(scene: Scene, encoder: Encoder, spec: HarmonizeSpec) -> Criterion:
    """Asks for what each layer's own nearest places are like; a place counts as often as it is matched."""
    wishes = _wishes(spec, _PASS_1_LAYERS, histogram_weight=0.0)
    theirs, ours = (_seen(each, encoder, _PASS_1_LAYERS) for each in (scene.painting, scene.pasted))
    wanted = {}
    for name in _PASS_1_LAYERS:
        inside = _inside(scene, ours[name])
        nearest = nearest_places(ours[name], theirs[name], inside)
        wanted[name] = Wanted.measure(theirs[name], _counted(nearest, theirs[name]))
    return Criterion(scene.pasted, [wanted], [scene.matte[0]], encoder, wishes)


def second_pass(scene: Scene, found: Field, encoder: Encoder, spec: HarmonizeSpec) -> Criterion:
    """Asks all layers for what one set of places is like, each counted once."""
    wishes = _wishes(spec, _PASS_2_LAYERS, spec.histogram_weight)
    theirs = _seen(scene.painting, encoder, wishes.listened_layers)
    used = used_places(found, scene)
    wanted = {
        name: Wanted.measure(features, F.interpolate(used, features.shape[-2:], mode="nearest"))
        for name, features in theirs.items()
    }
    return Criterion(scene.pasted, [wanted], [scene.matte[0]], encoder, wishes)


@torch.no_grad()
def match(drafted: Tensor, scene: Scene, encoder: Encoder) -> Field:
    """The field of nearest places at relu4_1, after neighbours have agreed."""
    theirs, features = (
        _seen(each, encoder, [MATCH_LAYER])[MATCH_LAYER] for each in (scene.painting, drafted)
    )
    everywhere = torch.ones(features.shape[-2:], dtype=torch.bool, device=features.device)
    places = nearest_places(features, theirs, everywhere)
    found = Field(places, (features.shape[-2], features.shape[-1]))
    return agreed(found, fit(scene.painting, features))


def nearest_places(ours: Tensor, theirs: Tensor, inside: Tensor) -> Tensor:
    """For each position of (1,C,H,W) that is `inside` (H,W), the most similar 3x3 patch of the painting."""
    queries, keys = (F.normalize(F.unfold(each, 3, padding=1)[0], dim=0) for each in (ours, theirs))
    wanted = queries[:, inside.flatten()]
    best = [(part.T @ keys).argmax(1) for part in wanted.split(_ROWS, dim=1)]
    return torch.cat(best)


def agreed(found: Field, colors: Tensor) -> Field:
    """Each place may follow a neighbour's match, shifted, if that is nearer in colour to what all say."""
    offered = torch.stack(list(_offers(found)))
    shown = colors.flatten(1)[:, offered]
    apart = (shown - shown.mean(1, keepdim=True)).square().sum(0)
    return replace(found, places=offered.gather(0, apart.argmin(0, keepdim=True))[0])


def _offers(found: Field) -> Iterator[Tensor]:
    """Each neighbour's match, shifted to this place (h*w,); beyond the border is the border itself."""
    rows, columns = found.size
    field = found.places.view(rows, columns)
    here_y, here_x = (torch.arange(count, device=field.device) for count in (rows, columns))
    for down, right in product(range(-2, 3), repeat=2):
        there_y, there_x = (here_y - down).clamp(0, rows - 1), (here_x - right).clamp(0, columns - 1)
        theirs = field[there_y][:, there_x]
        y = (theirs // columns + (here_y - there_y)[:, None]).clamp(0, rows - 1)
        x = (theirs % columns + (here_x - there_x)).clamp(0, columns - 1)
        yield (y * columns + x).flatten()


def used_places(found: Field, scene: Scene) -> Tensor:
    """The painting's places that the element follows, and the ring around each, (1,1,h,w)."""
    inside = F.interpolate(scene.matte[None], found.size, mode="area").flatten() > 0.5
    if not inside.any():
        inside = torch.ones_like(inside)
    used = torch.zeros(found.size[0] * found.size[1], device=found.places.device)
    used[found.places[inside]] = 1
    return F.max_pool2d(used.view(1, 1, *found.size), 3, stride=1, padding=1)


@torch.no_grad()
def _seen(picture: Tensor, encoder: Encoder, layers: Sequence[str]) -> Mapping[str, Tensor]:
    return encoder(picture[None], layers)


def _inside(scene: Scene, features: Tensor) -> Tensor:
    inside = F.interpolate(scene.matte[None], features.shape[-2:], mode="area")[0, 0] > 0.5
    return inside if inside.any() else torch.ones_like(inside)


def _counted(places: Tensor, features: Tensor) -> Tensor:
    rows, columns = features.shape[-2:]
    return torch.bincount(places, minlength=rows * columns).float().view(1, 1, rows, columns)


def _wishes(spec: HarmonizeSpec, layers: tuple[str, ...], histogram_weight: float) -> Wishes:
    return Wishes(
        style_layers=dict.fromkeys(layers, 1.0),
        content_layers={MATCH_LAYER: 1.0},
        content_weight=spec.content_weight,
        histogram_weight=histogram_weight,
        smooth_weight=spec.smooth_weight,
    )
