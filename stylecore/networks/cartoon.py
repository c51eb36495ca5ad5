"""The cartoon look: flat cels of few tones and a confident line.

Winnemöller 2006: abstraction, soft luminance quantization, difference-of-Gaussians lines. Deviations: a
guided and a Kuwahara filter abstract in place of an iterated bilateral one (flatter cels, fewer passes),
lines follow the flow (Kang 2009), and tones are spaced by a logarithm, so that night scenes have some too.
"""

import torch
from torch import Tensor

from stylecore.networks.drawn import DrawnLook
from stylecore.networks.filters import (
    Blur,
    Contours,
    Guided,
    Kuwahara,
    compress,
    double,
    expand,
    gradient,
    halve,
    luma,
    smoothstep,
    soft_steps,
)
from stylecore.normalize import Norm

TONES = 7
KNEE, LIFTED_KNEE = 8.0, 5.0
"""Tones are told on the first scale and shown on the second, which lifts the middle a little."""
SATURATION = 1.35
BLACKNESS = 0.92
"""How much of the colour a line takes away."""


class Cartoon(DrawnLook):
    """RGB (N,3,H,W) in 0..1 -> the same, drawn as a cel."""

    halo_px = 62

    def __init__(self) -> None:
        super().__init__()
        self.smooth = Guided(sigma_px=6, contrast=0.08)
        self.flatten = Kuwahara(radius_px=2.8, sigma_px=1.4, calm=0.03, power=2)
        self.contours = Contours(sigma_px=1.1, length_px=3.5)
        self.shading = Blur(2.5)

    def forward(self, rgb: Tensor, norm: Norm) -> Tensor:
        smooth = self.smooth(rgb)
        flat = self.flatten(smooth)
        grey = luma(flat)
        # From the smooth picture, not the flat one: flattening erases eyes, and lines bring them back.
        line = smoothstep(self.contours(luma(smooth), grey), 0.009, 0.038)
        return (self._cel(flat, grey) * (1 - BLACKNESS * line)).clamp(0, 1)

    def _cel(self, flat: Tensor, grey: Tensor) -> Tensor:
        tone = expand(self._quantize(compress(grey, KNEE)), LIFTED_KNEE)
        return tone + SATURATION * (flat - grey) * (tone + 0.05) / (grey + 0.05)

    def _quantize(self, scale: Tensor) -> Tensor:
        """Steep stairs where shading crosses a tone, gentle ones in a plain sky, which would flicker."""
        across, down = gradient(self.shading(halve(scale)))
        slope = torch.sqrt(across.square() + down.square() + 1e-8)
        return soft_steps(scale, 1 / TONES, double(5 + 7 * smoothstep(slope, 0.0, 0.006), like=scale))
