"""The classic network of Johnson 2016, as pytorch/examples fast_neural_style publishes it.

Deviations from the paper are that publication's own: instance instead of batch normalization, and
repeated pixels before a 3x3 convolution instead of transposed convolutions. Ours: the biases in front
of a normalization are left out, since it takes any constant away again.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylecore.canvas import Drift
from stylecore.networks.doubling import REPEATED, DoublingConv
from stylecore.normalize import Norm

CELL_PX = 4
"""The middle works at a quarter of the resolution: frames are padded to a multiple of it."""
DOWN, BLOCKS, UP = 3, 5, 2
CODES = 255
"""The original counts pixels in 8-bit codes, and its trained weights with it."""


def _conv(inputs: int, outputs: int, kernel_px: int = 3, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(
        inputs, outputs, kernel_px, stride, padding=kernel_px // 2, padding_mode="reflect", bias=bias
    )


class Johnson(nn.Module):
    """RGB (N,3,H,W) in 0..1 -> RGB (N,3,H,W) in 0..1, any size from 8x8; `width` is 32 in the original."""

    stride_px = CELL_PX
    design_height_px = 540
    keeps_black = False
    stored_dtype = torch.float32
    """Half precision moved real imported styles by up to 1.4 codes of 255."""
    halo_px = CELL_PX * 2 * BLOCKS + 2 * (4 + 1 + 2) + (CELL_PX - 1)
    """The blocks, then 9x9, 3x3 and 3x3 at half size at either end, then the cell an edge may cut."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        half, middle = 2 * width, 4 * width
        self.norm_channels = (width, half, *(middle,) * (1 + 2 * BLOCKS), half, width)
        """Channels of each normalized layer, in the order in which `norm` is asked."""
        down = (_conv(3, width, 9), _conv(width, half, stride=2), _conv(half, middle, stride=2))
        blocks = (_conv(middle, middle) for _ in range(2 * BLOCKS))
        up = (DoublingConv(middle, half, REPEATED), DoublingConv(half, width, REPEATED))
        self.convs = nn.ModuleList((*down, *blocks, *up))
        """One before each normalized layer, in the same order."""
        self.paint = _conv(width, 3, 9, bias=True)

    @property
    def normalized(self) -> tuple[nn.Conv2d, ...]:
        """The convolution before each normalized layer, in the same order."""
        return tuple(conv for conv in self.convs if isinstance(conv, nn.Conv2d))

    def settle(self) -> None:
        """Weights are final: what is composed of them is composed once."""
        for conv in self.convs:
            if isinstance(conv, DoublingConv):
                conv.settle()

    def prepare(self, rgb: Tensor, drifts: Sequence[Drift] = ()) -> Tensor:
        return rgb

    def forward(self, rgb: Tensor, norm: Norm) -> Tensor:
        height, width = rgb.shape[-2:]
        codes = CODES * F.pad(rgb, (0, -width % CELL_PX, 0, -height % CELL_PX), mode="replicate")
        x = codes.to(self.paint.weight.dtype)
        for layer in range(DOWN):
            x = F.relu(norm(layer, self.convs[layer](x)))
        for layer in range(DOWN, DOWN + 2 * BLOCKS, 2):
            bent = F.relu(norm(layer, self.convs[layer](x)))
            x = x + norm(layer + 1, self.convs[layer + 1](bent))
        for layer in range(DOWN + 2 * BLOCKS, DOWN + 2 * BLOCKS + UP):
            x = F.relu(norm(layer, self.convs[layer](x)))
        return (self.paint(x).to(rgb.dtype) / CODES).clamp(0, 1)[..., :height, :width]
