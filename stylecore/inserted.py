"""A shot laid into a painting, as a film's frames: its element harmonized, and the painting around it.

Harmonized at a small height, and the change carried to full size, where the painting itself is never scaled
down. A frame depends on all before it in its shot, and on nothing else (see `frame_by_frame` on GPUs).
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from stylecore.bus import Planes
from stylecore.catalog import parse_reference
from stylecore.encoders import bundled_encoder
from stylecore.frame_by_frame import small_of
from stylecore.harmonize import HarmonizeSpec, harmonize_shot
from stylecore.images import cover, load_picture
from stylecore.parts import add_change, carried, luma_of, parts_of, rgb_of, split_change
from stylecore.pixels import YuvFormat
from stylecore.scaling import resize
from stylecore.spec import EngineSpec, StyleSpec


@dataclass(frozen=True)
class Laid:
    """A frame, its parts, and the parts with the painting all around the element."""

    planes: Planes
    parts: Sequence[Tensor]
    pasted: Sequence[Tensor]


class Inserted:
    """One look whose method is `harmonize`, on one device."""

    def __init__(self, look: StyleSpec, form: YuvFormat, engine: EngineSpec) -> None:
        self.look, self.form, self.device = look, form, engine.device
        self.encoder = bundled_encoder().to(self.device)
        (part,) = parse_reference(look.style)
        self.painting = load_picture(Path(part.reference)).to(self.device)
        self._around: list[Tensor] = []

    def paint(self, frames: Iterable[Planes], mattes: Iterable[Tensor]) -> Iterator[list[Tensor]]:
        """Frames of a shot from its first, and a matte (H,W) for each: white where the element is."""
        waiting: deque[Laid] = deque()

        def shown() -> Iterator[tuple[Tensor, Tensor]]:
            for planes, matte in zip(frames, mattes, strict=False):
                waiting.append(self._laid(planes, matte.to(self.device)))
                yield rgb_of(small_of(waiting[-1].parts), self.form)[0], matte.to(self.device)

        elements = shown()
        first = next(elements)
        painting = cover(self.painting, first[0])
        spec = HarmonizeSpec(size_px=max(painting.shape[-2:]))
        for made in harmonize_shot(chain([first], elements), painting, self.encoder, spec):
            yield self._carried(waiting.popleft(), made[None])

    def _laid(self, planes: Planes, matte: Tensor) -> Laid:
        parts = parts_of([plane.to(self.device) for plane in planes], self.form)
        # The painting stands still: it is cut and scaled once.
        self._around = self._around or self._painting_parts(parts)
        pasted = [
            torch.lerp(around, part, resize(matte[None, None], part.shape[-2:]))
            for around, part in zip(self._around, parts, strict=True)
        ]
        return Laid(planes, parts, pasted)

    def _painting_parts(self, parts: Sequence[Tensor]) -> list[Tensor]:
        whole = split_change(cover(self.painting, parts[0][0])[None], self.form)
        return [resize(each, part.shape[-2:]) for each, part in zip(whole, parts, strict=True)]

    def _carried(self, laid: Laid, made: Tensor) -> list[Tensor]:
        everywhere = torch.ones_like(luma_of(laid.parts, self.form))
        small = small_of(laid.pasted)
        change = carried(made - rgb_of(small, self.form), small, laid.pasted, self.form, everywhere)
        total = [
            (one + around - part) * self.look.strength
            for one, around, part in zip(change, laid.pasted, laid.parts, strict=True)
        ]
        moved = [plane.to(self.device) for plane in laid.planes]
        return [plane.cpu() for plane in add_change(moved, laid.parts, total, self.form, keep_color=False)]
