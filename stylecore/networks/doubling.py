"""Twice the size, then a 3x3 convolution, without the picture between: four convolutions of the small one.

Every pixel of a doubled picture mixes neighbours of the small one, and the convolution mixes those again;
both together are one 3x3 convolution of the small picture for each of the four places in a pair of lines.
Exact, but for the outermost line: there the small picture's edge is repeated, as doubling does.
"""

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shares = tuple[tuple[tuple[float, float, float], ...], ...]
"""For the first and the second of two pixels, for each tap of the kernel: its share in three neighbours."""
SMOOTH: Shares = (
    ((0.75, 0.25, 0), (0.25, 0.75, 0), (0, 0.75, 0.25)),
    ((0.25, 0.75, 0), (0, 0.75, 0.25), (0, 0.25, 0.75)),
)
"""Pixels between which doubling is bilinear."""
REPEATED: Shares = (((1, 0, 0), (0, 1, 0), (0, 1, 0)), ((0, 1, 0), (0, 1, 0), (0, 0, 1)))
"""Pixels that it repeats."""


Kernel = tuple[Tensor, Tensor | None]


def frozen(kernel: Tensor, bias: Tensor | None) -> nn.ParameterList:
    """A kernel that moves and changes type with its network, and is not trained."""
    zero = kernel.new_zeros(len(kernel)) if bias is None else bias
    return nn.ParameterList(nn.Parameter(each, requires_grad=False) for each in (kernel, zero))


class DoublingConv(nn.Conv2d):
    """(N,inputs,H,W) -> (N,outputs,2H,2W); weights are those of the convolution at full size."""

    def __init__(self, inputs: int, outputs: int, shares: Shares) -> None:
        super().__init__(inputs, outputs, 3, bias=False)
        self.shares: Tensor
        self.register_buffer("shares", torch.tensor(shares, dtype=torch.float32), persistent=False)
        self.settled: nn.ParameterList | None = None

    def settle(self) -> None:
        """The weights are final: compose the kernel once."""
        self.settled = frozen(*self._composed())

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.cells(x), 2)

    def cells(self, x: Tensor) -> Tensor:
        """The same before its pixels are put in their places: (N,4 outputs,H,W), for `pixel_shuffle`."""
        kernel, bias = self._composed() if self.settled is None else self.settled
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, bias)

    def _composed(self) -> Kernel:
        # outputs, phase down, phase right, inputs, neighbour down, neighbour right
        phases = torch.einsum("oikl,pkt,qlu->opqitu", self.weight, self.shares, self.shares)
        kernel = phases.reshape(-1, self.in_channels, 3, 3).contiguous(memory_format=torch.channels_last)
        return kernel, None if self.bias is None else self.bias.repeat_interleave(4)


def on_cells(conv: nn.Conv2d) -> Kernel:
    """A 3x3 convolution, reflected at the border, as one of cells of 2x2 pixels with a repeated border.

    (N,4 inputs,H,W) -> (N,4 outputs,H,W), in the order of `pixel_shuffle`: exact, the border too, because
    the pixel beside an edge cell is the other pixel of that cell. Wide features need not be put in place.
    """
    outputs, inputs = conv.weight.shape[:2]
    kernel = conv.weight.new_zeros(outputs, 2, 2, inputs, 2, 2, 3, 3)
    for down, right, row, column in product((0, 1), (0, 1), range(3), range(3)):
        cell_y, phase_y = divmod(down + row - 1, 2)
        cell_x, phase_x = divmod(right + column - 1, 2)
        kernel[:, down, right, :, phase_y, phase_x, cell_y + 1, cell_x + 1] = conv.weight[:, :, row, column]
    bias = None if conv.bias is None else conv.bias.repeat_interleave(4)
    packed = kernel.reshape(4 * outputs, 4 * inputs, 3, 3)
    return packed.contiguous(memory_format=torch.channels_last), bias
