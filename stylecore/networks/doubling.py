"""Twice the size, then a 3x3 convolution, without the picture between: four convolutions of the small one.

Every pixel of a doubled picture mixes neighbours of the small one, and the convolution mixes those again;
both together are one 3x3 convolution of the small picture for each of the four places in a pair of lines.
Exact, but for the outermost line: there the small picture's edge is repeated, as doubling does.
"""

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


class DoublingConv(nn.Conv2d):
    """(N,inputs,H,W) -> (N,outputs,2H,2W); weights are those of the convolution at full size."""

    def __init__(self, inputs: int, outputs: int, shares: Shares) -> None:
        super().__init__(inputs, outputs, 3, bias=False)
        self.shares: Tensor
        self.register_buffer("shares", torch.tensor(shares, dtype=torch.float32), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        # outputs, phase down, phase right, inputs, neighbour down, neighbour right
        phases = torch.einsum("oikl,pkt,qlu->opqitu", self.weight, self.shares, self.shares)
        kernel = phases.reshape(-1, self.in_channels, 3, 3)
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        return F.pixel_shuffle(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, bias), 2)
