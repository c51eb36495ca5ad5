"""Where paint may go, and palettes: black stays black, and one picture's colours can be asked of another."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_BLACK = 0.012
"""Luminance up to which nothing is painted."""
_PAINTED = 0.10
"""Luminance from which everything is."""
_BLUR_PX = 9
_LUMA = (0.2126, 0.7152, 0.0722)


def luma(rgb: Tensor) -> Tensor:
    """BT.709 luma of (N,3,H,W): (N,1,H,W)."""
    weights = torch.tensor(_LUMA, device=rgb.device, dtype=rgb.dtype).view(1, 3, 1, 1)
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


@dataclass(frozen=True)
class Tint:
    """A fixed change of palette: rgb -> matrix (3,3) @ rgb + offset (3,)."""

    matrix: Tensor
    offset: Tensor

    @classmethod
    def between(cls, picture: Tensor, palette: Tensor) -> "Tint":
        """Gives (N,3,H,W) the mean and covariance of another's colours, moving them as little as possible.

        The linear Monge-Kantorovich solution (Pitie 2007); the covariances are lifted a little, so that a
        grey picture is not torn into colours.
        """
        mean, covariance = _color_moments(picture)
        wanted_mean, wanted = _color_moments(palette)
        root = _power(covariance, 0.5)
        inverse = _power(covariance, -0.5)
        matrix = inverse @ _power(root @ wanted @ root, 0.5) @ inverse
        return cls(matrix, wanted_mean - matrix @ mean)

    def __call__(self, rgb: Tensor) -> Tensor:
        moved = torch.einsum("ij,njhw->nihw", self.matrix, rgb)
        return (moved + self.offset[:, None, None]).clamp(0, 1)


def _color_moments(rgb: Tensor) -> tuple[Tensor, Tensor]:
    flat = rgb.transpose(0, 1).flatten(1)
    mean = flat.mean(1)
    centered = flat - mean[:, None]
    return mean, centered @ centered.T / flat.shape[1] + 1e-4 * torch.eye(3, device=rgb.device)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ (values.clamp(min=1e-12).pow(exponent)[:, None] * vectors.T)
