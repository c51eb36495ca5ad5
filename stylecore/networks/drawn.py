"""What the drawn looks have in common: no weights, no statistics, and black stays black."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stylecore.canvas import Placement


class DrawnLook(nn.Module):
    """A local filter as a network; each look adds `halo_px` and `forward`."""

    stride_px = 2
    design_height_px = 720
    keeps_black = True
    delicate_layers = 0
    stored_dtype = torch.float32
    norm_channels: tuple[int, ...] = ()
    normalized: tuple[nn.Conv2d, ...] = ()

    def prepare(self, rgb: Tensor, placements: Sequence[Placement] = ()) -> Tensor:
        return rgb
