"""A shot is surveyed once; then any of its frames can be painted, in any order, anywhere.

A frame is a list of planes (H,W), see `pixels`. The survey fixes the statistics of every
normalization layer for the whole shot; after it, a frame depends on its place in the shot, on itself, on the
few around it that it shares strokes with, and on the motion in those before, along which its canvas came.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any, TypeVar

import torch
from torch import Tensor

from stylecore.advection import Advection
from stylecore.budget import has_room, tile_side
from stylecore.bus import Arrival, Planes, open_bus
from stylecore.canvas import Drift, Placement
from stylecore.color import brightness, exposure, paint_mask
from stylecore.motion import gray_view
from stylecore.networks import StyleNetwork
from stylecore.normalize import SurveyNorm
from stylecore.pack import StylePack
from stylecore.palette import Tint
from stylecore.parts import add_change, carried, luma_of, parts_of, rgb_of
from stylecore.pixels import YuvFormat
from stylecore.running import Runner
from stylecore.runtime import keep_arithmetic_exact
from stylecore.scaling import resize, work_size
from stylecore.shot import Look, ShotState
from stylecore.spec import EXACT, EngineSpec, StyleKey
from stylecore.steady import Steadier, Strokes
from stylecore.ways import VIEW_HEIGHT_PX, Way, ways_between

Item = TypeVar("Item")
SURVEY_FRAMES = 6
SURVEY_BANDS = 6
"""Of the picture, each from another frame if there are as many: the whole height at the cost of one."""
SURVEY_PX = 1 << 20
"""A picture of more pixels is surveyed in narrower bands: statistics need no more, and memory is short."""
_BAND_MIN_PX = 48


@dataclass(frozen=True)
class Shown:
    """A frame of a shot, to be painted."""

    planes: Planes
    place: int
    """In its shot."""
    placement: Placement
    ways: tuple[Way, Way] | None = None
    """From the frame before to this one, and back."""


class Stylizer:
    """One style, or a way along key frames between styles of one network, on one device."""

    def __init__(
        self,
        pack: StylePack,
        style: str,
        form: YuvFormat,
        engine: EngineSpec,
        strength: float = 1.0,
        color: str = "style",
        brush: float = 1.0,
        keys: Sequence[StyleKey] = (),
        steady: int = 0,
    ) -> None:
        keep_arithmetic_exact()
        # Channels last: a third faster on CPUs, and what tensor cores want.
        self.network: StyleNetwork = pack.network.to(engine.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.prior = pack.prior.to(engine.device)
        self.vectors = {name: vector.to(engine.device) for name, vector in pack.vectors.items()}
        self.keys = tuple(keys) or (StyleKey(0, style, "", strength),)
        self.form, self.engine = form, engine
        self.color, self.brush, self.steady = color, brush, steady
        self.runner = Runner(self.network)
        self.bus = open_bus(engine.device)

    def survey(self, frames: Iterable[Planes]) -> ShotState:
        """Joint statistics of frames spread over the shot, for each style on the way.

        Frames are taken one by one: only their small pictures are kept.
        """
        return self.survey_parts(self._parts(planes) for planes in frames)

    @torch.inference_mode()
    def survey_parts(self, frames: Iterable[Sequence[Tensor]]) -> ShotState:
        """The same of frames as their parts, see `parts`."""
        bands = slit_scan([rgb_of(self.small(parts), self.form) for parts in frames])
        styles = dict.fromkeys(key.style for key in self.keys)
        surveyed = {style: self._survey_style(style, bands) for style in styles}
        looks = tuple(replace(surveyed[key.style], strength=key.strength) for key in self.keys)
        return ShotState(tuple(key.frame for key in self.keys), looks)

    def _survey_style(self, style: str, bands: Tensor) -> Look:
        usual = brightness(torch.cat(bands.split(1), -2))[0]
        if not self.network.norm_channels and self.color != "matched":
            return Look((), None, None, usual, 1.0)
        norm = SurveyNorm(self.vectors[style], self.prior)
        painted = self.network(bands.contiguous(memory_format=torch.channels_last), norm)
        tint = Tint.between(painted, bands) if self.color == "matched" else None
        exact = Look(tuple(norm.constants), norm.tint, tint, usual, 1.0)
        if self.engine.precision == EXACT or not exact.constants:
            return exact
        made = self._with_few_bits(exact, bands)
        return next((look for look in made if self.runner.bears(bands, look, painted)), exact)

    def _with_few_bits(self, exact: Look, bands: Tensor) -> Iterator[Look]:
        """The look as the engine wishes it, from the fastest way to the most careful."""
        rounded = replace(exact, precision=self.engine.precision)
        yield rounded
        means = self.runner.means(bands, exact)
        yield self.runner.trued(bands, rounded, means)
        if self.network.delicate_layers:
            careful = replace(rounded, exact_layers=self.network.delicate_layers)
            yield careful
            yield self.runner.trued(bands, careful, means)

    def stylize(
        self,
        frames: Sequence[Planes],
        state: ShotState,
        first: int = 0,
        mattes: Sequence[Tensor] | None = None,
        drifts: Sequence[Drift] = (),
    ) -> list[list[Tensor]]:
        """Painted frames of a shot, in order; planes on the CPU. `first` is the place of the first of them.

        They share strokes and canvas among themselves; each takes as much paint as its matte (H,W) allows.
        """
        places, moved = range(first, first + len(frames)), drifts or [(0.0, 0.0)] * len(frames)
        strokes = self.steadied(self.shown(frames, places, moved), state)
        allowed: Sequence[Tensor | None] = mattes or [None] * len(frames)
        return [self.lay(*each).take() for each in zip(strokes, allowed, strict=True)]

    def shown(
        self, frames: Iterable[Planes], places: Iterable[int], drifts: Iterable[Drift]
    ) -> Iterator[Shown]:
        """Consecutive frames of a shot, with the ways from the one before and the canvas that came along.

        `places` are theirs in the shot, from `laid_before` the first that is painted; `drifts` say where the
        scene has moved by each. Each is taken when needed.
        """
        advection, before = Advection(), None
        for planes, place, drift in zip(frames, places, drifts, strict=True):
            if not self.steady:
                yield Shown(planes, place, Placement(drift))
                continue
            view = self._view(planes)
            ways = None if before is None else ways_between(before, view)
            yield Shown(planes, place, advection.add(place, drift, view, ways), ways)
            before = view

    def steadied(self, shown: Iterable[Shown], state: ShotState) -> Iterator[Strokes]:
        """What is painted of consecutive frames, steady with those around them; each is taken when needed."""
        steadier, waiting = Steadier(self.steady), iter(shown)
        while batch := list(islice(waiting, self._together(state))):
            yield from steadier.add(self.strokes(batch, state))
        yield from steadier.rest()

    @torch.inference_mode()
    def strokes(self, frames: Sequence[Shown], state: ShotState) -> list[Strokes]:
        """What is painted of consecutive frames, each by itself; see `steadied`."""
        made: list[Strokes] = []
        count = self._together(state)
        for start in range(0, len(frames), count):
            some = frames[start : start + count]
            planes = [self.bus.carry(frame.planes) for frame in some]
            apart = [self.small(parts_of(frame, self.form)) for frame in planes]
            look, placements = state.at(some[0].place), _filled([frame.placement for frame in some], count)
            small = [torch.cat(each) for each in zip(*_filled(apart, count), strict=True)]
            seen = rgb_of(small, self.form)
            paint = self._paint(seen, look, placements, self._tile(planes[0][0], small))
            alone = zip(planes, apart, paint.split(1), some, strict=False)
            made += [Strokes(stored, mine, each, look, frame.ways) for stored, mine, each, frame in alone]
        return made

    @torch.inference_mode()
    def lay(self, strokes: Strokes, matte: Tensor | None = None) -> Arrival:
        """A painted frame on its way back: a GPU may still be at it.

        `matte` (H,W) in 0..1 is how much paint each pixel may take.
        """
        parts = parts_of(strokes.planes, self.form)
        allowed = None if matte is None else self.bus.carry([matte])[0][None, None]
        reach = self._reach(parts, strokes.look, allowed)
        change = carried(strokes.paint, strokes.small, parts, self.form, reach)
        return self.bus.bring(add_change(strokes.planes, parts, change, self.form, self.color == "source"))

    def has_room(self, height: int, width: int) -> bool:
        """Whether frames of that size can be painted whole, without sparing memory."""
        limit, beside = self.engine.memory_bytes, (2 * self.steady, self.engine.together)
        return not limit or has_room(height * width, self._work_size(height, width), limit, *beside)

    def _view(self, frame: Planes) -> Any:
        """What motion is found in: the first plane, on the CPU, whatever device paints."""
        return gray_view(self.form.orientation.upright(frame[0]), self.form.bits, VIEW_HEIGHT_PX)

    def _together(self, state: ShotState) -> int:
        """Frames painted together: always as many, for a convolution of four may round unlike one of one.

        One by one on the way between key frames.
        """
        return self.engine.together if len(state.looks) == 1 else 1

    @torch.inference_mode()
    def change(self, parts: Sequence[Tensor], look: Look, allowed: Tensor | None = None) -> list[Tensor]:
        """What paint adds to each part of frames; `allowed` (N,1,H,W) is how much each pixel may take."""
        small = self.small(parts)
        paint = self._paint(rgb_of(small, self.form), look, (), self._tile(parts[0][0], small))
        return carried(paint, small, parts, self.form, self._reach(parts, look, allowed))

    def _tile(self, plane: Tensor, small: Sequence[Tensor]) -> int:
        """Side of the tiles of frames' small pictures (N,C,h,w); 0 to paint them in one go."""
        if self.engine.tile_px or not self.engine.memory_bytes:
            return self.engine.tile_px
        size = (small[0].shape[-2], small[0].shape[-1])
        beside = 2 * self.steady, len(small[0])
        return tile_side(plane.numel(), size, self.network.halo_px, self.engine.memory_bytes, *beside)

    def _paint(self, seen: Tensor, look: Look, placements: Sequence[Placement], tile_px: int) -> Tensor:
        """What is changed of the small picture (N,3,h,w)."""
        lit = exposure(seen, look.usual)
        shown = (seen * lit).clamp(0, 1)
        paint = (self.runner.paint(self.network.prepare(shown, placements), look, tile_px) - shown) / lit
        return look.tint(seen + paint) - seen if look.tint else paint

    def _reach(self, parts: Sequence[Tensor], look: Look, allowed: Tensor | None) -> Tensor:
        """How much of the paint arrives at each pixel, (N,1,H,W)."""
        light = luma_of(parts, self.form)
        reach = torch.ones_like(light) if self.network.keeps_black else paint_mask(light)
        reach = reach if look.strength == 1 else reach * look.strength
        return reach if allowed is None else reach * allowed

    def _parts(self, planes: Planes) -> list[Tensor]:
        return parts_of(self.bus.carry(planes), self.form)

    def small(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """Parts at the size at which paint is made."""
        height, width = parts[0].shape[-2:]
        return [resize(part, self._work_size(height, width)) for part in parts]

    def _work_size(self, height: int, width: int) -> tuple[int, int]:
        return work_size(height, width, self.network.design_height_px, self.brush)


def _filled(items: Sequence[Item], count: int) -> list[Item]:
    """The items, and the last again until there are so many; none stay none."""
    return [*items, *([items[-1]] * (count - len(items)) if items else [])]


def slit_scan(frames: Sequence[Tensor]) -> Tensor:
    """Horizontal bands of (1,3,H,W) frames, turn by turn over the whole height, as a batch of equal bands."""
    height, width = frames[0].shape[-2:]
    fewest = len(frames) if height * width <= SURVEY_PX else SURVEY_BANDS
    bands = max(1, min(SURVEY_BANDS, fewest, height // _BAND_MIN_PX))
    step = height // bands
    rows = min(step, max(_BAND_MIN_PX, SURVEY_PX // (width * bands)))
    tops = [step * (number % bands) + (step - rows) // 2 for number in range(max(bands, len(frames)))]
    return torch.cat(
        [frame[..., top : top + rows, :] for frame, top in zip(cycle(frames), tops, strict=False)]
    )


def survey_positions(contrasts: Sequence[float], count: int = SURVEY_FRAMES) -> list[int]:
    """Frames of a shot to survey, evenly spread by contrast: black and flat ones weigh little."""
    weights = [contrast + 0.5 for contrast in contrasts]
    total, seen = sum(weights), 0.0
    chosen: list[int] = []
    for position, weight in enumerate(weights):
        seen += weight
        while len(chosen) < count and seen >= total * (len(chosen) + 0.5) / count:
            chosen.append(position)
    return sorted(set(chosen))
