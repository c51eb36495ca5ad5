"""The network that changes nothing: for proofs, since a film through it must come out bit for bit."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stylecore.canvas import Placement
from stylecore.normalize import Norm


class Identity(nn.Module):
    """RGB (N,3,H,W) -> the same."""

    stride_px = 1
    halo_px = 0
    design_height_px = 0
    keeps_black = True
    stored_dtype = torch.float16
    delicate_layers = 0
    norm_channels: tuple[int, ...] = ()
    normalized: tuple[nn.Conv2d, ...] = ()

    def prepare(self, rgb: Tensor, placements: Sequence[Placement] = ()) -> Tensor:
        return rgb

    def forward(self, rgb: Tensor, norm: Norm) -> Tensor:
        return rgb
