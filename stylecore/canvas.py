"""The canvas: a still, fine unevenness that strokes follow where the picture itself says nothing.

A network that sees only the picture has nothing to set a stroke by in a plain sky; it draws bands along the
light there, or blows grain up into flicker. The canvas stays where the frame is, as in a painted film.
"""

import torch
from torch import Tensor

_ROW, _COLUMN, _MIX = 73_856_093, 19_349_663, 1_274_126_177
_BITS = (1 << 31) - 1


def canvas(height: int, width: int, cell_px: int, device: str | torch.device = "cpu") -> Tensor:
    """Noise (1,1,H,W) of mean 0 and variance 1, one value per square cell; the same on every machine.

    A hash of row and column (Teschner 2003), since random generators change between versions and devices.
    """
    rows = (torch.arange(height, device=device) // cell_px)[:, None]
    columns = (torch.arange(width, device=device) // cell_px)[None]
    mixed = ((rows + 1) * _ROW) ^ ((columns + 1) * _COLUMN)
    for _ in range(2):
        mixed = ((mixed ^ (mixed >> 13)) & _BITS) * _MIX
        mixed = mixed ^ (mixed >> 15)
    return ((mixed & _BITS).float() / _BITS - 0.5)[None, None] * 12**0.5
