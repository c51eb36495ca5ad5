"""Light, and where paint may go: black stays black."""

from torch import Tensor

from stylecore.window import window_mean

_BLACK = 0.012
"""Luminance up to which nothing is painted."""
_PAINTED = 0.14
"""Luminance from which everything is."""
_BLUR_PX = 9
_LIGHT_PARTS = 0.98
_FADED = 0.8
"""Share of the shot's usual brightness below which a frame counts as faded."""
_BOOST = 8.0
LUMA = (0.2126, 0.7152, 0.0722)
"""Share of red, green and blue in BT.709's luma."""


def luma(rgb: Tensor) -> Tensor:
    """BT.709 luma of (N,3,H,W): (N,1,H,W)."""
    red, green, blue = rgb.split(1, 1)
    return (LUMA[0] * red).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def brightness(rgb: Tensor) -> Tensor:
    """How bright the light parts of each of (N,3,H,W) are, (N,): a fade takes it away from all alike.

    A quantile of every fourth pixel's luma: a dark room with a lamp in it is no fade.
    """
    light = luma(rgb[..., ::4, ::4]).flatten(1).float()
    return light.kthvalue(1 + round(_LIGHT_PARTS * (light.shape[1] - 1)), dim=1).values


def exposure(rgb: Tensor, usual: Tensor) -> Tensor:
    """Factor (N,1,1,1), 1 or more, that brings faded pictures nearly to the usual brightness of a shot."""
    return (_FADED * usual / brightness(rgb).clamp(min=1e-4)).clamp(1, _BOOST)[:, None, None, None]


def paint_mask(light: Tensor) -> Tensor:
    """How much of a change reaches each pixel of a luma (N,1,H,W): 0 in black, 1 outside the dark.

    Looks at a small neighbourhood, so that film grain in the dark does not become a pattern of dots.
    """
    return window_mean(light, _BLUR_PX).sub_(_BLACK).div_(_PAINTED - _BLACK).clamp_(0, 1)
