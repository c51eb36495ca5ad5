"""Light, and where paint may go: black stays black."""

import torch
import torch.nn.functional as F
from torch import Tensor

_BLACK = 0.012
"""Luminance up to which nothing is painted."""
_PAINTED = 0.10
"""Luminance from which everything is."""
_BLUR_PX = 9
LUMA = (0.2126, 0.7152, 0.0722)


def luma(rgb: Tensor) -> Tensor:
    """BT.709 luma of (N,3,H,W): (N,1,H,W)."""
    weights = torch.tensor(LUMA, device=rgb.device, dtype=rgb.dtype).view(1, 3, 1, 1)
    return (rgb * weights).sum(1, keepdim=True)


def paint_mask(rgb: Tensor) -> Tensor:
    """How much of a change reaches each pixel of (N,3,H,W): (N,1,H,W), 0 in black, 1 outside the dark.

    Looks at a small neighbourhood, so that film grain in the dark does not become a pattern of dots.
    """
    margin = _BLUR_PX // 2
    padded = F.pad(luma(rgb), (margin,) * 4, mode="replicate")
    across = F.avg_pool2d(padded, (1, _BLUR_PX), stride=1)
    broad = F.avg_pool2d(across, (_BLUR_PX, 1), stride=1)
    return ((broad - _BLACK) / (_PAINTED - _BLACK)).clamp(0, 1)
