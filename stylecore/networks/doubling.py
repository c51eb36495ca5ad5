"""Twice the size, then a convolution, without the picture between: one convolution of the small picture.

Every pixel of a doubled picture mixes neighbours of the small one, and the convolution mixes those again;
both together are one convolution of the small picture for each place in a cell of two by two pixels. Where
doubling blends (`SMOOTH`) a cell is a small pixel and sees nine; where it repeats (`REPEATED`) a cell lies
around a corner between small pixels, and sees the four that meet there. What follows need not put the pixels
in place either: a convolution of them is one of their cells. Exact, but for the outermost line of a smooth
doubling: there the small picture's edge is repeated.
"""

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylecore.networks.convolution import Kernel, convolve, frozen

Shares = tuple[tuple[tuple[float, ...], ...], ...]
"""For the first and the second pixel of a cell, for each tap of the kernel: its share in each neighbour."""
SMOOTH: Shares = (
    ((0.75, 0.25, 0), (0.25, 0.75, 0), (0, 0.75, 0.25)),
    ((0.25, 0.75, 0), (0, 0.75, 0.25), (0, 0.25, 0.75)),
)
"""Pixels between which doubling is bilinear."""
REPEATED: Shares = (((1, 0), (1, 0), (0, 1)), ((1, 0), (0, 1), (0, 1)))
"""Pixels that it repeats: the last of the one before a corner, and the first of the one after."""


class DoublingConv(nn.Conv2d):
    """(N,inputs,H,W) -> (N,outputs,2H,2W); weights are those of the convolution at full size."""

    def __init__(self, inputs: int, outputs: int, shares: Shares) -> None:
        super().__init__(inputs, outputs, 3, bias=False)
        self.shares: Tensor
        self.register_buffer("shares", torch.tensor(shares, dtype=torch.float32), persistent=False)
        self.around_corners = len(shares[0][0]) == 2
        self.settled: nn.ParameterList | None = None

    def settle(self) -> None:
        """The weights are final: compose the kernel once."""
        self.settled = frozen(*self._composed())

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        return placed(self.cells(x, relu), self.around_corners)

    def cells(self, x: Tensor, relu: bool = False, room: int = 0) -> Tensor:
        """The same before its pixels are put in their places: (N,4 outputs,H,W), around corners H+1,W+1.

        `room` is how many more there are on each side: whoever needs a border writes it there.
        """
        kernel, bias = self._composed() if self.settled is None else self.settled
        return convolve(F.pad(x, (1 + room,) * 4, mode="replicate"), kernel, bias, relu=relu)

    def _composed(self) -> Kernel:
        # outputs, phase down, phase right, inputs, neighbour down, neighbour right
        phases = torch.einsum("oikl,pkt,qlu->opqitu", self.weight, self.shares, self.shares)
        kernel = phases.flatten(0, 2).contiguous(memory_format=torch.channels_last)
        return kernel, None if self.bias is None else self.bias.repeat_interleave(4)


def placed(cells: Tensor, around_corners: bool) -> Tensor:
    """The pixels of (N,4C,H,W) cells, (N,C,2H,2W); around corners without the line outside, 2H-2,2W-2."""
    pixels = F.pixel_shuffle(cells, 2)
    return pixels[..., 1:-1, 1:-1] if around_corners else pixels


def mirror_pixels(cells: Tensor, room: int) -> Tensor:
    """Cells around corners with `room` more on each side, which is filled: pixels reflect at their border."""
    pixels = cells.unflatten(1, (-1, 2, 2))
    for axis, phase in product((0, 1), (0, 1)):
        lines, count = pixels.select(2 + axis, phase), cells.shape[2 + axis] - 2 * room
        last = 2 * count - 3
        for cell in (*range(-room, 1), *range(count - 1, count + room)):
            pixel = 2 * cell - 1 + phase
            if not 0 <= pixel <= last:
                inside = -pixel if pixel < 0 else 2 * last - pixel
                source = (inside + 1) // 2
                lines.select(3 + axis, cell + room).copy_(lines.select(3 + axis, source + room))
    return cells


def on_cells(conv: nn.Conv2d) -> Kernel:
    """A convolution of odd size as one of cells of 2x2 pixels.

    (N,4 inputs,H,W) -> (N,4 outputs,H,W), in the order of `pixel_shuffle`. For a kernel of 3x3 a repeated
    border of cells is a reflected one of pixels: the pixel beside an edge cell is the other one of it.
    """
    outputs, inputs, taps = conv.weight.shape[:3]
    reach = (taps // 2 + 1) // 2
    kernel = conv.weight.new_zeros(outputs, 2, 2, inputs, 2, 2, 2 * reach + 1, 2 * reach + 1)
    for down, right, row, column in product((0, 1), (0, 1), range(taps), range(taps)):
        cell_y, phase_y = divmod(down + row - taps // 2, 2)
        cell_x, phase_x = divmod(right + column - taps // 2, 2)
        places = (cell_y + reach, cell_x + reach)
        kernel[:, down, right, :, phase_y, phase_x, *places] = conv.weight[:, :, row, column]
    bias = None if conv.bias is None else conv.bias.repeat_interleave(4)
    packed = kernel.flatten(3, 5).flatten(0, 2)
    return packed.contiguous(memory_format=torch.channels_last), bias
