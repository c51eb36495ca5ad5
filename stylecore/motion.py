"""Where each pixel of a film went, and where that can be known: for metrics, and for paint that goes along.

Flow is OpenCV's DIS (Kroeger 2016, *Fast Optical Flow using Dense Inverse Search*) on 8-bit pictures.
Flow (N,2,H,W) is in pixels, x then y, and points from a pixel's centre here to where its content is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecore.color import luma
from stylecore.opencv import opencv

_OCCLUSION = (0.01, 0.5)
"""Ruder 2016: relative and absolute (px^2) tolerance of the way there and back."""
_BOUNDARY = (0.01, 0.002)
"""Ruder 2016: relative and absolute tolerance of the flow's squared gradient."""
_REFINEMENTS = 2
"""Over the whole picture, of the preset's five: the last three take a fifth of the time and mend a tenth."""
_LEAST_PX = 16
"""OpenCV's search fails in smaller pictures."""


@dataclass(frozen=True)
class Motion:
    """What moved where in a film between frame t and frame t + gap, one item per t."""

    gap: int
    flow: tuple[Tensor, ...]
    """From t to t + gap, (1,2,H,W) each."""
    valid: tuple[Tensor, ...]
    """Pixels of t that are certainly seen in t + gap too, (1,1,H,W) bool each."""

    @property
    def coverage(self) -> float:
        """Fraction of all pixels that are valid."""
        return torch.stack([mask.float().mean() for mask in self.valid]).mean().item()


def track(source: Sequence[Tensor], gap: int) -> Motion:
    """Motion of a film's frames (3,H,W) in 0..1, each against the one `gap` frames later."""
    if not 1 <= gap < len(source):
        raise ValueError(f"gap must be between 1 and {len(source) - 1} for {len(source)} frames, got {gap}")
    flows, masks = zip(*(follow(*pair) for pair in zip(source, source[gap:], strict=False)), strict=True)
    return Motion(gap, flows, masks)


def follow(here: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Flow (1,2,H,W) from one frame (3,H,W) to another, and where it is `certain`."""
    dense = _DenseFlow()
    forward = dense(here, there)
    return forward, certain(forward, dense(there, here))


def warp(pictures: Tensor, flow: Tensor) -> Tensor:
    """What lies at the flow's ends, bilinear, (N,C,H,W); beyond the frame, its border."""
    places, step = _places(*flow.shape[-2:], flow.device)
    grid = torch.addcmul(places, flow, step).permute(0, 2, 3, 1)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=True)


@lru_cache(maxsize=8)
def _places(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where each pixel is, (2,H,W), as `grid_sample` counts, x, then y, from -1 to 1; and a pixel's step."""
    with torch.inference_mode(False):
        columns = torch.linspace(-1, 1, width, device=device).expand(height, width)
        rows = torch.linspace(-1, 1, height, device=device)[:, None].expand(height, width)
        step = torch.tensor([2 / max(width - 1, 1), 2 / max(height - 1, 1)], device=device)
        return torch.stack([columns, rows]), step[:, None, None]


def certain(forward: Tensor, backward: Tensor) -> Tensor:
    """Mask (N,1,H,W) of pixels that are `returning` and stand on no motion boundary."""
    bend = _squared(_forward_difference(forward, -1)) + _squared(_forward_difference(forward, -2))
    smooth = bend <= _BOUNDARY[0] * _squared(forward) + _BOUNDARY[1]
    return returning(forward, backward) & smooth[:, None]


def returning(forward: Tensor, backward: Tensor) -> Tensor:
    """Mask (N,1,H,W) of pixels that land in the frame and come back.

    The rule of Ruder 2016 (after Sundaram 2010), as Lai 2018 uses it, plus the frame's border.
    """
    height, width = forward.shape[-2:]
    x, y = _ends(forward)
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    back = warp(backward, forward)
    size, back_size = _squared(forward), _squared(back)
    returns = _squared(forward + back) < _OCCLUSION[0] * (size + back_size) + _OCCLUSION[1]
    return (inside & returns)[:, None]


def _ends(flow: Tensor) -> tuple[Tensor, Tensor]:
    height, width = flow.shape[-2:]
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype)
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype)
    return flow[:, 0] + columns, flow[:, 1] + rows[:, None]


def _squared(vectors: Tensor) -> Tensor:
    return vectors.square().sum(1)


def _forward_difference(x: Tensor, axis: int) -> Tensor:
    last = x.narrow(axis, x.shape[axis] - 1, 1)
    return x.diff(dim=axis, append=last)


def gray_view(plane: Tensor, bits: int, height_px: int) -> Any:
    """A plane (H,W) of codes as OpenCV sees motion in it: 8 bit, at most so many lines, none too few."""
    codes = plane.cpu() if bits == 8 else (plane.cpu() >> (bits - 8)).byte()
    height, width = codes.shape
    scale = min(1.0, height_px / height)
    size = max(_LEAST_PX, round(width * scale)), max(_LEAST_PX, round(height * scale))
    return opencv().resize(codes.contiguous().numpy(), size, interpolation=opencv().INTER_AREA)


def fast_flow(here: Any, there: Any) -> Tensor:
    """Flow (1,2,h,w) from one gray view to another: DIS's fast preset, down to full resolution.

    Ending at half of it is three times as fast, and leaves half as much flicker again.
    """
    cv2 = opencv()
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    search.setFinestScale(0)
    search.setVariationalRefinementIterations(_REFINEMENTS)
    return _as_tensor(search.calc(here, there, None))


def _as_tensor(flow: Any) -> Tensor:
    return torch.from_numpy(flow).permute(2, 0, 1)[None].contiguous()


class _DenseFlow:
    """DIS at its finest preset, refined down to full resolution."""

    def __init__(self) -> None:
        cv2 = opencv()
        self.search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self.search.setFinestScale(0)

    def __call__(self, here: Tensor, there: Tensor) -> Tensor:
        found = self.search.calc(_gray(here), _gray(there), None)
        return _as_tensor(found).to(here.device)


def _gray(rgb: Tensor) -> Any:
    return luma(rgb[None])[0, 0].clamp(0, 1).mul(255).round().byte().cpu().numpy()
