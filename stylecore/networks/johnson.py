"""The classic network of Johnson 2016, as pytorch/examples fast_neural_style publishes it.

Deviations from the paper are that publication's own: instance instead of batch normalization, and
repeated pixels before a 3x3 convolution instead of transposed convolutions. Ours: the biases in front
of a normalization are left out, since it takes any constant away again.
"""

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylecore.canvas import Placement
from stylecore.networks.convolution import Conv, convolve, frozen, twofold
from stylecore.networks.doubling import REPEATED, DoublingConv, mirror_pixels, on_cells, placed
from stylecore.normalize import Norm

CELL_PX = 4
"""The middle works at a quarter of the resolution: frames are padded to a multiple of it."""
DOWN, BLOCKS, UP = 3, 5, 2
CODES = 255
"""The original counts pixels in 8-bit codes, and its trained weights with it."""


class Johnson(nn.Module):
    """RGB (N,3,H,W) in 0..1 -> RGB (N,3,H,W) in 0..1, any size from 8x8; `width` is 32 in the original."""

    stride_px = CELL_PX
    design_height_px = 540
    keeps_black = False
    delicate_layers = 2
    """Imported looks often grow from differences of single codes: rounded first layers may lose them."""
    stored_dtype = torch.float32
    """Half precision moved real imported styles by up to 1.4 codes of 255."""
    halo_px = CELL_PX * 2 * BLOCKS + 2 * (4 + 1 + 2) + (CELL_PX - 1)
    """The blocks, then 9x9, 3x3 and 3x3 at half size at either end, then the cell an edge may cut."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        half, middle = 2 * width, 4 * width
        self.norm_channels = (width, half, *(middle,) * (1 + 2 * BLOCKS), half, width)
        """Channels of each normalized layer, in the order in which `norm` is asked."""
        down = (Conv(3, width, 9), Conv(width, half, stride=2), Conv(half, middle, stride=2))
        blocks = (Conv(middle, middle) for _ in range(2 * BLOCKS))
        up = (DoublingConv(middle, half, REPEATED), DoublingConv(half, width, REPEATED))
        self.convs = nn.ModuleList((*down, *blocks, *up))
        """One before each normalized layer, in the same order."""
        self.paint = Conv(width, 3, 9, bias=True)
        self.paint_cells: nn.ParameterList | None = None

    @property
    def normalized(self) -> tuple[nn.Conv2d, ...]:
        """The convolution before each normalized layer, in the same order."""
        return tuple(conv for conv in self.convs if isinstance(conv, nn.Conv2d))

    def settle(self) -> None:
        """Weights are final: what is composed of them is composed once."""
        for conv in self.convs:
            if isinstance(conv, DoublingConv):
                conv.settle()
        if self.paint_cells is None:  # no statistics go in: once is enough for all surveys
            self.paint_cells = frozen(*on_cells(self.paint))

    def prepare(self, rgb: Tensor, placements: Sequence[Placement] = ()) -> Tensor:
        return rgb

    def forward(self, rgb: Tensor, norm: Norm) -> Tensor:
        height, width = rgb.shape[-2:]
        codes = CODES * F.pad(rgb, (0, -width % CELL_PX, 0, -height % CELL_PX), mode="replicate")
        x = norm.activated(0, self._stem, codes)
        for layer in range(1, DOWN):
            x = norm.activated(layer, self.convs[layer], x)
        for layer in range(DOWN, DOWN + 2 * BLOCKS, 2):
            bent = norm.activated(layer, self.convs[layer], x)
            x = x + norm(layer + 1, self.convs[layer + 1](bent))
        layer = DOWN + 2 * BLOCKS
        x = norm.activated(layer, self.convs[layer], x)
        painted = self._painted(x, norm, layer + 1)[..., :height, :width]
        return (painted.to(rgb.dtype) / CODES).clamp(0, 1)

    def _stem(self, codes: Tensor, relu: bool = False) -> Tensor:
        """The first layer, of all the bits of its input."""
        stem = self.convs[0]
        assert isinstance(stem, Conv)
        return convolve(*twofold(stem.framed(codes), stem.weight), stem.bias, relu=relu)

    def _painted(self, x: Tensor, norm: Norm, layer: int) -> Tensor:
        """The last two layers, once weights are final by their cells: wide features need no places."""
        double = self.convs[layer]
        assert isinstance(double, DoublingConv)
        if self.paint_cells is None:
            return self.paint(norm.activated(layer, double, x))
        kernel, bias = self.paint_cells
        room = kernel.shape[-1] // 2
        cells = norm.activated(layer, partial(double.cells, room=room), x)
        return placed(convolve(mirror_pixels(cells, room), kernel, bias), around_corners=True)
