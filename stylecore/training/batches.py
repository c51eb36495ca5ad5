"""The material of each step: what to paint, on which canvas, in which styles, and a second look at it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stylecore.canvas import canvas
from stylecore.networks.painter import CELL_PX, spread
from stylecore.training.contents import ContentCrops
from stylecore.training.gallery import READ_PX, Gallery
from stylecore.training.spec import TrainSpec

MOTION_PX = 8
_CANVAS_PX = 1024


@dataclass(frozen=True)
class Batch:
    """One step's material: content crops with canvas (N,5,P+8,P+8), style rows, second look's offset."""

    crops: Tensor
    own: tuple[int, ...]
    """The style with a vector of its own, by number, for each crop painted in it."""
    read: tuple[int, ...]
    """The style picture to be read, by number in the gallery, for each crop painted in it."""
    close_ups: Tensor
    """(len(own),3,320,320) of the own styles' paintings, for the reader to recognize."""
    shift: tuple[int, int]


class Batches:
    """Endless material; step n depends on seed and n alone, as resuming needs."""

    def __init__(
        self,
        spec: TrainSpec,
        paintings: Sequence[Tensor],
        contents: Sequence[Tensor],
        gallery: Gallery | None = None,
    ) -> None:
        self.spec, self.paintings, self.gallery = spec, paintings, gallery
        side = spec.crop_px + MOTION_PX
        self.source = ContentCrops(contents, side, spec.seed)
        cells = (_CANVAS_PX + side) // CELL_PX
        self.canvas = spread(canvas(cells, cells))

    def draw(self, step: int) -> Batch:
        spec, styles = self.spec, len(self.paintings)
        chance = self.source.random
        chance.seed(f"{spec.seed}-{step}")
        torch.manual_seed(spec.seed * 1_000_003 + step)
        own = (step % styles,) * spec.batch
        gallery = self.gallery
        read = (chance.randrange(len(gallery)),) * spec.any_batch if gallery else ()
        crops = torch.stack([self.source.draw() for _ in own + read]).clamp(0, 1)
        crops = torch.cat([crops, self._canvas(len(crops), crops.shape[-1])], 1)
        close_ups = torch.stack([self._close_up(row) for row in own]) if gallery else torch.empty(0)
        return Batch(
            crops, own, read, close_ups, (chance.randint(0, MOTION_PX), chance.randint(0, MOTION_PX))
        )

    def _canvas(self, count: int, side_px: int) -> Tensor:
        """A piece of the canvas for each crop, from anywhere."""
        places = [CELL_PX * self.source.random.randrange(_CANVAS_PX // CELL_PX) for _ in range(2 * count)]
        pieces = [
            self.canvas[..., top : top + side_px, left : left + side_px]
            for top, left in zip(places[::2], places[1::2], strict=True)
        ]
        return torch.cat(pieces)

    def _close_up(self, row: int) -> Tensor:
        painting, chance = self.paintings[row], self.source.random
        top = chance.randint(0, painting.shape[-2] - READ_PX)
        left = chance.randint(0, painting.shape[-1] - READ_PX)
        return painting[:, top : top + READ_PX, left : left + READ_PX]
