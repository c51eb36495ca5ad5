"""The ink look: brush lines, solid shadows and two grey washes on warm paper.

XDoG (Winnemöller 2012): soft thresholds on luma together with flow-guided lines. Deviations: two washes
between paper and black, and a light meter: thresholds fall with the brightness around a pixel, so that a
dim scene is drawn rather than flooded, and in the deepest dark the paper darkens, so that a fade ends in
black without a jump.
"""

from torch import Tensor

from stylecore.networks.drawn import DrawnLook
from stylecore.networks.filters import (
    Blur,
    Contours,
    Guided,
    Kuwahara,
    compress,
    double,
    halve,
    keep_color,
    luma,
    smoothstep,
)
from stylecore.normalize import Norm

PAPER = (0.97, 0.953, 0.91)
INK = (0.06, 0.058, 0.07)
WASHES = ((0.50, 0.58, 0.70), (0.33, 0.40, 0.62), (0.18, 0.26, 0.0))
"""Luma from which a wash lies, luma up to which it lies, and how much light it lets through."""
BRIGHT, DIMMEST = 0.5, 0.25
"""Surrounding luma from which thresholds hold as they are; share to which they fall in the dark."""
NIGHT = 0.2
"""Surrounding luma under which the paper darkens."""


class Ink(DrawnLook):
    """RGB (N,3,H,W) in 0..1 -> the same, drawn in ink."""

    halo_px = 56
    paper: Tensor
    ink: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.smooth = Guided(sigma_px=6, contrast=0.1)
        self.flatten = Kuwahara(radius_px=2.8, sigma_px=1.4, calm=0.03, power=2)
        self.contours = Contours(sigma_px=1.2, length_px=4.5)
        self.surroundings = Blur(10)
        keep_color(self, "paper", PAPER)
        keep_color(self, "ink", INK)

    def forward(self, rgb: Tensor, norm: Norm) -> Tensor:
        smooth = self.smooth(rgb)
        flat = luma(self.flatten(smooth))
        broad = double(self.surroundings(halve(luma(rgb))), like=rgb)
        tone = flat / (DIMMEST + (1 - DIMMEST) * smoothstep(broad, 0.0, BRIGHT))
        light = 1 - smoothstep(self.contours(luma(smooth), flat), 0.006, 0.026)
        for full, none, passed in WASHES:
            light = light * (passed + (1 - passed) * smoothstep(tone, full, none))
        # Night falls on the paper too, or a fade would end in a flood of ink.
        light = light * compress(broad / NIGHT, 3.0).clamp(max=1)
        # Ink on paper is not quite black; film bars are.
        ink = self.ink * smoothstep(flat, 0.0, 0.1)
        return ink + (self.paper - ink) * light
