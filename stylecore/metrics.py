"""How a painted film compares with its source and with its painting: every number we publish.

Pictures are gamma-coded RGB in 0..1: films (N,3,H,W) or a list of frames (3,H,W), pictures (3,H,W) or
(N,3,H,W). All values are plain numbers, 0 for "nothing lost", `nan` where there is nothing to measure.
Steadiness and closeness pull against each other (a blank film is perfectly steady): publish them together.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecore import criterion, losses
from stylecore.color import luma
from stylecore.encoders import Encoder
from stylecore.motion import Motion, warp

STYLE_LAYERS = tuple(criterion.STYLE_LAYERS)
CONTENT_LAYER = "relu4_2"
CODES = 255
"""Code values of full scale, for numbers that people compare with eight-bit pictures."""
STILL_CODES = 1.5
"""A source pixel that changes at most this much between two frames stands still."""
STRONG_SHARE = 0.05
"""The share of a frame's pixels, by gradient, that are its strong edges."""
STRONG_CODES_PER_PX = 4.0
"""No gradient below this is a strong edge, however flat the frame."""
EDGE_BLUR_PX = 1.5
EDGE_WINDOW_PX = 3.0

Film = Tensor | Sequence[Tensor]


@torch.inference_mode()
def style_distance(
    painted: Tensor, painting: Tensor, encoder: Encoder, layers: Sequence[str] = STYLE_LAYERS
) -> float:
    """Relative squared Gram error |G - G*|^2 / |G*|^2, mean over layers, then over the pictures.

    Gatys 2015's style term, made relative (see `losses.style_loss`), so it is not symmetric: `painting` is
    the yardstick. Strokes count in pixels: give the painting in the size in which it was learned.
    """
    targets = _grams(_batch(painting)[:1], encoder, layers)
    values = [losses.style_loss(_grams(one, encoder, layers), targets) for one in _batch(painted).split(1)]
    return torch.cat(values).mean().item()


@torch.inference_mode()
def content_distance(painted: Tensor, source: Tensor, encoder: Encoder, layer: str = CONTENT_LAYER) -> float:
    """Squared feature distance relative to the source features' variance, mean over the pictures.

    Not symmetric (see `losses.content_loss`). 0 is the source; a flat picture gives about 1, an unrelated
    one about 2, and one of stronger contrast than the source more still.
    """
    values = [
        losses.content_loss(encoder(made, (layer,))[layer], encoder(wanted, (layer,))[layer])
        for made, wanted in zip(_batch(painted).split(1), _batch(source).split(1), strict=True)
    ]
    return torch.cat(values).mean().item()


def error_along(frames: Film, motion: Motion) -> float:
    """Lai 2018's E_warp (*Learning Blind Video Temporal Consistency*), in the form of its evaluation code.

    Frame t + gap is warped back to t; squared difference, mean over the pixels of `motion.valid` and the
    three channels, range 0..1; then mean over the pairs. Deviations: DIS flow where Lai has FlowNet2,
    frames from memory instead of JPEG files, and pixels that leave the frame are excluded.

    `motion` is the source's, `motion.track(source, gap)`. Of the source itself this is the floor (flow error,
    noise, real change of light): publish the ratio with it.
    """
    film = _frames(frames)
    if len(film) != len(motion.flow) + motion.gap:
        raise ValueError(f"motion is of {len(motion.flow) + motion.gap} frames, the film has {len(film)}")
    errors = []
    pairs = zip(film, film[motion.gap :], motion.flow, motion.valid, strict=False)
    for here, there, flow, valid in pairs:
        error = (warp(there[None], flow) - here).square().mean(1, keepdim=True)
        errors.append(error[valid].mean())
    return torch.stack(errors).nanmean().item()


def luma_flicker(frames: Film, source: Film) -> float:
    """Mean |dY| between consecutive frames where the source stands still, in code values of 255.

    Y is BT.709 luminance; a pixel is still where |dY| of the source is at most `STILL_CODES`. Mean over all
    still pixels of the film: sees whole-picture breathing that no flow is needed for, and that a squared
    error over moving detail drowns.
    """
    total, count = 0.0, 0
    steps = zip(pairwise(_frames(frames)), pairwise(_frames(source)), strict=True)
    for (before, after), (old, new) in steps:
        still = _luma_step(old, new) <= STILL_CODES
        total += _luma_step(before, after)[still].double().sum().item()
        count += int(still.sum())
    return total / count if count else math.nan


def edge_loss(painted: Film, source: Film) -> float:
    """The part of the contrast across the source's strong edges that the painting lost, 0..1.

    Strong edges are the `STRONG_SHARE` of each frame's pixels where luminance changes most. Contrast is the
    change of colour along the source's gradient (derivative of a Gaussian, 1.5 px), averaged *with its sign*
    along the edge (Gaussian, 3 px) and then taken as a length in RGB: an edge may change colour or turn
    from light-dark to dark-light, but loose strokes on it cancel. What got stronger is not set off
    against what got lost. Our own definition.
    """
    lost, had = 0.0, 0.0
    for made, wanted in zip(_frames(painted), _frames(source), strict=True):
        strong, normal = _strong_edges(wanted)
        before, after = (_contrast_across(picture, strong, normal) for picture in (wanted, made))
        lost += (before - after).clamp(min=0).double().sum().item()
        had += before.double().sum().item()
    return lost / had if had else 0.0


def _strong_edges(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Mask (1,1,H,W) and the unit gradient of luminance (2,1,1,H,W)."""
    gradient = torch.stack(_gradient(luma(rgb[None])))
    size = gradient.norm(dim=0)
    threshold = torch.quantile(size[..., ::2, ::2].flatten(), 1 - STRONG_SHARE)
    return size >= threshold.clamp(min=STRONG_CODES_PER_PX / CODES), gradient / (size + 1e-12)


def _contrast_across(rgb: Tensor, strong: Tensor, normal: Tensor) -> Tensor:
    """Signed colour change across the edges, averaged along them: its length at each strong pixel."""
    across, down = _gradient(rgb[None])
    weight = strong.to(rgb.dtype)
    change = _blur((across * normal[0] + down * normal[1]) * weight, EDGE_WINDOW_PX)
    mean = change / (_blur(weight, EDGE_WINDOW_PX) + 1e-12)
    return mean.norm(dim=1, keepdim=True)[strong]


def _gradient(x: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives (per pixel) of the blurred picture, across and down."""
    padded = F.pad(_blur(x, EDGE_BLUR_PX), (1, 1, 1, 1), mode="replicate")
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    return across, (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2


def _blur(x: Tensor, sigma_px: float) -> Tensor:
    """Gaussian blur of (N,C,H,W), border repeated."""
    radius, channels = math.ceil(3 * sigma_px), x.shape[1]
    steps = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-steps.square() / (2 * sigma_px**2))
    kernel = (kernel / kernel.sum()).expand(channels, 1, 1, -1)
    padded = F.pad(x, (radius,) * 4, mode="replicate")
    across = F.conv2d(padded, kernel, groups=channels)
    return F.conv2d(across, kernel.transpose(2, 3), groups=channels)


def _luma_step(before: Tensor, after: Tensor) -> Tensor:
    return (luma(after[None]) - luma(before[None])).abs() * CODES


def _grams(picture: Tensor, encoder: Encoder, layers: Sequence[str]) -> dict[str, Tensor]:
    return {name: losses.gram(found) for name, found in encoder(picture, layers).items()}


def _frames(film: Film) -> Sequence[Tensor]:
    """A film as frames (3,H,W)."""
    return list(film.unbind()) if isinstance(film, Tensor) else film


def _batch(pictures: Tensor) -> Tensor:
    return pictures[None] if pictures.dim() == 3 else pictures
