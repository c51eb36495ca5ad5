"""The watercolour look: light, transparent pigment in glazes, on white paper.

Bousseau 2006: an abstracted picture whose pigment is denser at the rims of a wash and where pigment
settled. Deviations: light passes pigment by Beer's law (colour to the power of density), which never
clips to mud; glazes are soft tone steps, so that rims appear inside a region too; and where pigment
settles follows the picture's own texture instead of a sheet of paper, which would stand still while the
film moves. Paper grain and wobble are left out for the same reason.
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
    halve,
    keep_color,
    luma,
    smoothstep,
    soft_steps,
)
from stylecore.normalize import Norm

PAPER = (0.985, 0.975, 0.95)
SHADOW = (0.18, 0.17, 0.24)
"""The darkest mixture: a cool one, never black."""
SEPARATION = (-0.15, 0.0, 0.15)
"""Where pigment settles it turns warmer, elsewhere cooler: change of density in red, green and blue."""
GLAZES = 8
SATURATION = 1.5


class Watercolor(DrawnLook):
    """RGB (N,3,H,W) in 0..1 -> the same, painted in watercolour."""

    halo_px = 56
    paper: Tensor
    shadow: Tensor
    separation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.smooth = Guided(sigma_px=6, contrast=0.07)
        self.wash = Kuwahara(radius_px=3.5, sigma_px=1.6, calm=0.02, power=2)
        self.contours = Contours(sigma_px=0.9, length_px=4)
        self.rim = Blur(2.5)
        self.fine, self.coarse = Blur(1.5), Blur(6)
        keep_color(self, "paper", PAPER)
        keep_color(self, "shadow", SHADOW)
        keep_color(self, "separation", SEPARATION)

    def forward(self, rgb: Tensor, norm: Norm) -> Tensor:
        smooth = self.smooth(rgb)
        flat = self.wash(smooth)
        grey = luma(flat)
        tone = soft_steps(compress(grey, 2.5), 1 / GLAZES, torch.full_like(grey, 5.0))
        settled = self._settled(rgb)
        density = self._edges(luma(smooth), grey, tone) - 0.3 * settled.clamp(max=0.4)
        hue = tone + SATURATION * (flat - grey) * (tone + 0.3) / (grey + 0.3)
        pigment = _glaze(hue.clamp(0, 1), density + self.separation * settled)
        shadow = self.shadow * smoothstep(grey, 0.0, 0.12)
        return (shadow + (1 - shadow) * pigment) * self.paper

    def _edges(self, sharp: Tensor, grey: Tensor, tone: Tensor) -> Tensor:
        """Extra density where a wash ends: at rims of a glaze, and along contours."""
        rim = (self.rim(tone) - tone) / (tone + 0.2)
        contour = smoothstep(self.contours(sharp, grey), 0.004, 0.05)
        return 0.6 * (4 * rim).tanh().clamp(min=-0.25) + 0.9 * contour

    def _settled(self, rgb: Tensor) -> Tensor:
        """Texture of 3 to 12 px, from -1 where pigment settled to 1 where it ran off."""
        small = halve(luma(rgb))
        broad = self.coarse(small)
        return double(((self.fine(small) - broad) / (0.08 * (broad + 0.15))).tanh(), like=rgb)


def _glaze(hue: Tensor, density: Tensor) -> Tensor:
    """Light that passes `density` more pigment than it takes to show `hue`."""
    return hue * hue.clamp(min=1e-3) ** density.clamp(min=-0.6)
