"""A shot painted by optimization as a film's frames: planes in, planes out, in the shot's own order.

Painted at a small height, where it is affordable, and carried to full size as networks' paint is. A frame
depends on all before it in its shot (on the whole shot with more than one pass), and on nothing else; but a
GPU adds up gradients in any order, so there it may come out a little otherwise.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from torch import Tensor

from stylecore.bus import Planes
from stylecore.catalog import parse_reference
from stylecore.color import paint_mask
from stylecore.criterion import Region, Style, Wishes
from stylecore.encoders import bundled_encoder
from stylecore.images import load_picture
from stylecore.optimize import OptimizeSpec
from stylecore.parts import add_change, carried, luma_of, parts_of, rgb_of
from stylecore.pixels import YuvFormat
from stylecore.scaling import resize, work_size
from stylecore.spec import EngineSpec, StyleSpec
from stylecore.temporal import TemporalSpec, paint_shot

LEAST_PX = 48
"""A side is never less: there would be nothing left for the deeper layers of a loss network."""
WORK_HEIGHT_PX = 270


class FrameByFrame:
    """One look whose method is `optimize`, on one device."""

    def __init__(self, look: StyleSpec, form: YuvFormat, engine: EngineSpec) -> None:
        self.look, self.form, self.device = look, form, engine.device
        self.encoder = bundled_encoder().to(self.device)
        parts = parse_reference(look.style)
        styles = [Style(load_picture(Path(each.reference)).to(self.device), each.weight) for each in parts]
        self.regions = [Region(styles)]
        color = "matched" if look.color == "matched" else "style"
        still = OptimizeSpec(color=color, wishes=Wishes(style_scale=look.brush))
        self.spec = TemporalSpec(still, passes=look.passes)

    def paint(self, frames: Iterable[Planes], mattes: Iterable[Tensor | None]) -> Iterator[list[Tensor]]:
        """Frames of a shot from its first; a matte (H,W) for each, None to paint everywhere."""
        waiting: deque[Planes] = deque()

        def shown() -> Iterator[Tensor]:
            for planes in frames:
                waiting.append(planes)
                yield rgb_of(small_of(self._parts(planes)), self.form)[0]

        painted = paint_shot(shown(), self.regions, self.encoder, self.spec)
        for made, matte in zip(painted, mattes, strict=False):
            yield self._carried(waiting.popleft(), made[None], matte)

    def _carried(self, planes: Planes, painted: Tensor, matte: Tensor | None) -> list[Tensor]:
        parts = self._parts(planes)
        reach = paint_mask(luma_of(parts, self.form)) * self.look.strength
        reach = reach if matte is None else reach * matte.to(self.device)
        small = small_of(parts)
        change = carried(painted - rgb_of(small, self.form), small, parts, self.form, reach)
        moved = [plane.to(self.device) for plane in planes]
        return [
            plane.cpu() for plane in add_change(moved, parts, change, self.form, self.look.color == "source")
        ]

    def _parts(self, planes: Planes) -> list[Tensor]:
        return parts_of([plane.to(self.device) for plane in planes], self.form)


def small_of(parts: Sequence[Tensor]) -> list[Tensor]:
    """The parts at the one size at which a shot is painted."""
    height, width = parts[0].shape[-2:]
    rows, columns = work_size(height, width, WORK_HEIGHT_PX, 1.0)
    size = max(LEAST_PX, rows), max(LEAST_PX, columns)
    return [resize(part, size) for part in parts]
