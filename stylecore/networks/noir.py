"""The noir look: hard light and deep shadow, in black and white.

What a laboratory did with panchromatic stock, as local filters: red-leaning sensitivity (pale skin, dark
sky), an S-shaped characteristic curve, dodging and burning, and halation around the lights. The curve's
middle follows the brightness around a pixel, so that a night scene keeps its drawing. Neutral grey.
"""

import torch
from torch import Tensor

from stylecore.networks.drawn import DrawnLook
from stylecore.networks.filters import Blur, Guided, double, halve, luma, smoothstep
from stylecore.normalize import Norm

PANCHROMATIC = (0.48, 0.42, 0.10)
"""Sensitivity to red, green and blue."""
CONTRAST = 6.2
"""Steepness of the characteristic curve."""
CLARITY = 0.35
"""How much more a pixel differs from its surroundings."""
HALATION = 0.45


class Noir(DrawnLook):
    """RGB (N,3,H,W) in 0..1 -> grey as RGB (N,3,H,W)."""

    halo_px = 54

    def __init__(self) -> None:
        super().__init__()
        self.clean = Guided(sigma_px=3, contrast=0.03)
        self.surroundings = Blur(10)
        self.halo = Blur(5)

    def forward(self, rgb: Tensor, norm: Norm) -> Tensor:
        # Cleaned first: the curve is steep, and would print compression noise.
        grey, small = luma(self.clean(rgb), PANCHROMATIC), halve(luma(rgb, PANCHROMATIC))
        around = [self.surroundings(small), self.halo(smoothstep(small, 0.6, 1.0))]
        broad, glow = double(torch.cat(around, dim=1), like=grey).split(1, dim=1)
        clear = grey + CLARITY * smoothstep(grey, 0.0, 0.2) * (grey - broad)
        print_ = _characteristic(clear, middle=0.30 + 0.32 * broad)
        # Light spreads in the film, but not into what is black: bars stay bars.
        lit = print_ + HALATION * glow * (1 - print_) * smoothstep(grey, 0.0, 0.15)
        return lit.clamp(0, 1).expand(-1, 3, -1, -1)


def _characteristic(x: Tensor, middle: Tensor) -> Tensor:
    """A logistic curve, stretched to keep 0 and 1 where they are."""
    black = torch.sigmoid(-CONTRAST * middle)
    white = torch.sigmoid(CONTRAST * (1 - middle))
    return (torch.sigmoid(CONTRAST * (x - middle)) - black) / (white - black)
