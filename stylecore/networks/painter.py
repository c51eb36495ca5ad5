"""The house network: works at a quarter of the resolution, where film is cheap, and draws at full size.

Descends from Johnson 2016 (residual blocks between a down- and an up-scaling end). Deviations: the way
down is a lossless 4x4 space-to-depth instead of strided convolutions (a sixth of the arithmetic), two
blocks are dilated so that a stroke may span 100 px, and the way up is smooth (bilinear, then a
convolution), because transposed convolutions, pixel shuffles and even repeated pixels print a grid. It
paints over a ground, the picture in the style's palette, as painters do: colours are right and the drawing
stands before the first stroke, and the network has strokes to learn instead of both. A canvas gives it
something to set strokes by where the picture is plain.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylecore.canvas import CANVAS_CHANNELS, Placement, canvas_under
from stylecore.networks.convolution import Conv, convolve, frozen
from stylecore.networks.doubling import SMOOTH, DoublingConv, on_cells
from stylecore.normalize import Norm

CELL_PX = 4
"""Side of the square that becomes one feature: frames are padded to a multiple of it."""
DILATIONS = (1, 2, 2, 2, 1, 1)
_THIN = 0.02
"""Pure black and white give way to this much, so that strokes can be laid over them."""


def spread(cells: Tensor) -> Tensor:
    """One value per cell (N,C,h,w) as one per pixel (N,C,4h,4w)."""
    return cells.repeat_interleave(CELL_PX, -2).repeat_interleave(CELL_PX, -1)


class _Block(nn.Module):
    """Two convolutions beside a straight way; the first normalized layer's number is given."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.first = Conv(width, width, dilation=dilation)
        self.second = Conv(width, width)

    def forward(self, x: Tensor, norm: Norm, layer: int) -> Tensor:
        return x + norm(layer + 1, self.second(norm.activated(layer, self.first, x)))


class Painter(nn.Module):
    """RGB (N,3,H,W) in 0..1 -> RGB (N,3,H,W) in 0..1, any size from 16x16; prepared or not."""

    stride_px = CELL_PX
    design_height_px = 540
    keeps_black = False
    delicate_layers = 0
    stored_dtype = torch.float16
    halo_px = CELL_PX * (1 + sum(dilation + 1 for dilation in DILATIONS) + 2) + 8
    """How far an output pixel sees, rounded up to whole cells."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.width = width
        self.stem = Conv(3 * CELL_PX**2 + CANVAS_CHANNELS, width)
        self.blocks = nn.ModuleList(_Block(width, dilation) for dilation in DILATIONS)
        self.to_half = DoublingConv(width, width // 2, SMOOTH)
        self.to_full = DoublingConv(width // 2, width // 4, SMOOTH)
        self.paint = Conv(width // 4, 3, bias=True)
        self.paint_cells: nn.ParameterList | None = None

    @property
    def norm_channels(self) -> tuple[int, ...]:
        """Channels of each normalized layer, in the order in which `norm` is asked."""
        return (self.width,) * (1 + 2 * len(self.blocks)) + (self.width // 2, self.width // 4)

    @property
    def normalized(self) -> tuple[nn.Conv2d, ...]:
        """The convolution before each normalized layer, in the same order."""
        blocks = (block for block in self.blocks if isinstance(block, _Block))
        inner = (conv for block in blocks for conv in (block.first, block.second))
        return (self.stem, *inner, self.to_half, self.to_full)

    def prepare(self, rgb: Tensor, placements: Sequence[Placement] = ()) -> Tensor:
        """Frames with their canvas, (N,5,H,W): a tile of them is painted as the whole is."""
        count, _, height, width = rgb.shape
        cells = [
            canvas_under(each, height, width, CELL_PX, str(rgb.device))
            for each in placements or [Placement()] * count
        ]
        return torch.cat([rgb, spread(torch.cat(cells))[..., :height, :width]], 1)

    def forward(self, rgb: Tensor, norm: Norm) -> Tensor:
        height, width = rgb.shape[-2:]
        frame = self.prepare(rgb) if rgb.shape[1] == 3 else rgb
        ground = norm.ground(frame[:, :3])
        room = (0, -width % CELL_PX, 0, -height % CELL_PX)
        cells = F.pixel_unshuffle(F.pad(ground - 0.5, room, mode="replicate"), CELL_PX)
        seen = torch.cat([cells, frame[:, 3:, ::CELL_PX, ::CELL_PX]], 1)
        x = norm.activated(0, self.stem, seen)
        for index, block in enumerate(self.blocks):
            x = block(x, norm, 1 + 2 * index)
        layer = 1 + 2 * len(self.blocks)
        x = norm.activated(layer, self.to_half, x)
        strokes = self._strokes(x, norm, layer + 1)[..., :height, :width].to(ground.dtype)
        return torch.logit(ground, eps=_THIN).add_(strokes).sigmoid_()

    def settle(self) -> None:
        """Weights are final, statistics inside: pixels can take their places after the last layer."""
        self.to_half.settle()
        self.to_full.settle()
        if self.paint_cells is None:  # no statistics go in: once is enough for all surveys
            self.paint_cells = frozen(*on_cells(self.paint))

    def _strokes(self, x: Tensor, norm: Norm, layer: int) -> Tensor:
        if self.paint_cells is None:
            return self.paint(norm.activated(layer, self.to_full, x))
        cells = F.pad(norm.activated(layer, self.to_full.cells, x), (1, 1, 1, 1), mode="replicate")
        return F.pixel_shuffle(convolve(cells, *self.paint_cells), 2)
