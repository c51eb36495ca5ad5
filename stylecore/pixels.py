"""Planes <-> RGB in 0..1, and the change-only way back. The only file that knows code values.

A frame is a tuple of planes, (H,W) each: Y, or Y, U, V, or G, B, R, and alpha last if there is any; uint8,
or int16 for 9 to 12 bits. Chroma is sited left and between lines, as MPEG-2, H.264 and HEVC have it; since
only the *change* is brought back, other sitings cost no sharpness. Alpha is carried, never painted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecore.light import Dynamic
from stylecore.opencv import opencv
from stylecore.orientation import UPRIGHT, Orientation

# Kr and Kb of ITU-R BT.709, BT.601 and BT.2020 (non-constant luminance).
MATRICES = {"bt709": (0.2126, 0.0722), "bt601": (0.299, 0.114), "bt2020": (0.2627, 0.0593)}
RGB = "gbr"
"""The matrix of films that hold R, G and B themselves."""

_BAYER = torch.tensor(
    [
        [0, 32, 8, 40, 2, 34, 10, 42],
        [48, 16, 56, 24, 50, 18, 58, 26],
        [12, 44, 4, 36, 14, 46, 6, 38],
        [60, 28, 52, 20, 62, 30, 54, 22],
        [3, 35, 11, 43, 1, 33, 9, 41],
        [51, 19, 59, 27, 49, 17, 57, 25],
        [15, 47, 7, 39, 13, 45, 5, 37],
        [63, 31, 55, 23, 61, 29, 53, 21],
    ]
)
# Just under half a code value, so that a change of zero rounds back to the source exactly.
_DITHER = ((_BAYER + 0.5) / 64 - 0.5) * 0.98


@dataclass(frozen=True)
class YuvFormat:
    """How planes mean a picture: matrix name, range, chroma sampled every 1 or 2 pixels, depth, hold."""

    matrix: str
    full_range: bool
    chroma_step_x: int = 2
    chroma_step_y: int = 2
    gray: bool = False
    bits: int = 8
    orientation: Orientation = UPRIGHT
    alpha: bool = False
    dynamic: Dynamic | None = None
    """The high dynamic range of the code values; None for a standard picture."""

    def __post_init__(self) -> None:
        if self.matrix not in (*MATRICES, RGB):
            raise ValueError(f"matrix must be one of {', '.join((*MATRICES, RGB))}, got {self.matrix!r}")

    @property
    def highest(self) -> int:
        """The highest code value."""
        return 2**self.bits - 1

    @property
    def luma(self) -> tuple[float, float]:
        """Offset and excursion of Y in code values (H.273, 8.3)."""
        scale = 2.0 ** (self.bits - 8)
        return (0.0, float(self.highest)) if self.full_range else (16 * scale, 219 * scale)

    @property
    def chroma(self) -> tuple[float, float]:
        """Middle and excursion of U and V in code values."""
        scale = 2.0 ** (self.bits - 8)
        return 128 * scale, float(self.highest) if self.full_range else 224 * scale


def to_rgb(planes: Sequence[Tensor], form: YuvFormat) -> Tensor:
    """A standard picture (1,3,H,W) in 0..1, upright: what networks know, whatever the film's light."""
    return form.orientation.upright(standard_rgb(coded_rgb(planes, form), form))


def coded_upright(planes: Sequence[Tensor], form: YuvFormat) -> Tensor:
    """R, G and B as the film codes them, (1,3,H,W) in 0..1, upright."""
    return form.orientation.upright(coded_rgb(planes, form))


def standard_rgb(coded: Tensor, form: YuvFormat) -> Tensor:
    """Coded R, G and B (1,3,H,W) as the standard picture."""
    return form.dynamic.standard(coded) if form.dynamic else coded


def coded_rgb(planes: Sequence[Tensor], form: YuvFormat) -> Tensor:
    """R, G and B as the film codes them, (1,3,H,W) clamped to 0..1, as stored."""
    offset, excursion = form.luma
    if form.matrix == RGB:
        green, blue, red = ((plane.float() - offset) / excursion for plane in planes[:3])
        return torch.stack([red, green, blue])[None].clamp(0, 1)
    y = (planes[0].float() - offset) / excursion
    if form.gray:
        return y.expand(1, 3, *y.shape).clamp(0, 1)
    middle, swing = form.chroma
    u, v = ((upsample(plane.float(), form, y.shape) - middle) / swing for plane in planes[1:3])
    return torch.stack(rgb_from_yuv(y, u, v, form.matrix))[None].clamp(0, 1)


def rgb_from_yuv(y: Tensor, u: Tensor, v: Tensor, matrix: str) -> tuple[Tensor, Tensor, Tensor]:
    """R, G and B of Y and of U and V about 0, by the matrix of that name."""
    kr, kb = MATRICES[matrix]
    kg = 1 - kr - kb
    green = torch.add(y, u, alpha=-2 * kb * (1 - kb) / kg).add_(v, alpha=-2 * kr * (1 - kr) / kg)
    return torch.add(y, v, alpha=2 * (1 - kr)), green, torch.add(y, u, alpha=2 * (1 - kb))


def yuv_from_rgb(red: Tensor, green: Tensor, blue: Tensor, matrix: str) -> tuple[Tensor, Tensor, Tensor]:
    """The way back."""
    kr, kb = MATRICES[matrix]
    y = (kr * red).add_(green, alpha=1 - kr - kb).add_(blue, alpha=kb)
    return y, (blue - y).div_(2 * (1 - kb)), (red - y).div_(2 * (1 - kr))


def split_rgb(rgb: Tensor, form: YuvFormat) -> list[Tensor]:
    """Each plane's share of (3,H,W), in code values from its zero; alpha has none."""
    red, green, blue = rgb
    if form.matrix == RGB:
        return [part * form.luma[1] for part in (green, blue, red)]
    y, *differences = yuv_from_rgb(red, green, blue, form.matrix)
    if form.gray:
        return [y * form.luma[1]]
    return [y * form.luma[1], *(_downsample(part, form) * form.chroma[1] for part in differences)]


def moved_codes(plane: Tensor, change: Tensor, form: YuvFormat) -> Tensor:
    """Codes (H,W) and a change of them, dithered; where nothing changes they stay what they are."""
    if form.bits > 8 or plane.device.type != "cpu":
        return quantize(plane + change, form)
    # In one pass: it adds, rounds half to even, and saturates.
    cv2, made = opencv(), torch.empty(plane.shape, dtype=torch.uint8)
    moved = (change + _dither(*change.shape, change.device)).contiguous()
    cv2.add(plane.contiguous().numpy(), moved.numpy(), made.numpy(), dtype=cv2.CV_8U)
    return made


def quantize(values: Tensor, form: YuvFormat) -> Tensor:
    """Code values from exact ones, dithered; whole ones stay what they are."""
    whole = (values + _dither(*values.shape, values.device)).round_().clamp_(0, form.highest)
    return whole.to(torch.uint8 if form.bits == 8 else torch.int16)


@lru_cache(maxsize=8)
def _dither(height: int, width: int, device: torch.device) -> Tensor:
    """The pattern all over a plane (H,W)."""
    with torch.inference_mode(False):
        pattern = _DITHER.to(device)
        return pattern.repeat(-(-height // 8), -(-width // 8))[:height, :width].contiguous()


def upsample(chroma: Tensor, form: YuvFormat, size: Sequence[int]) -> Tensor:
    """Chroma (h,w) at a larger size: linear, left-sited across, centred between lines down."""
    height, width = size
    if form.chroma_step_x == 2:
        after = torch.cat([chroma[:, 1:], chroma[:, -1:]], 1)
        chroma = torch.stack([chroma, (chroma + after) / 2], 2).flatten(1)[:, :width]
    if form.chroma_step_y == 2:
        above = torch.cat([chroma[:1], chroma[:-1]])
        below = torch.cat([chroma[1:], chroma[-1:]])
        pair = torch.stack([0.75 * chroma + 0.25 * above, 0.75 * chroma + 0.25 * below], 1)
        chroma = pair.flatten(0, 1)[:height]
    return chroma


def _downsample(full: Tensor, form: YuvFormat) -> Tensor:
    """A luma-sized map at chroma size: [1 2 1] at the left site across, mean of two lines down."""
    if form.chroma_step_y == 2:
        even = F.pad(full[None], (0, 0, 0, full.shape[0] % 2), mode="replicate")[0]
        full = (even[0::2] + even[1::2]) / 2
    if form.chroma_step_x == 2:
        padded = F.pad(full[None], (1, 1), mode="replicate")[0]
        full = (padded[:, :-2:2] + 2 * padded[:, 1:-1:2] + padded[:, 2::2]) / 4
    return full
