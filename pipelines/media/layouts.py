"""Pixel layouts: which planes a decoded frame has, how deep they are, and how sparse their chroma is."""

import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

_DEEPEST_BITS = 12
HANDLED = "4:2:0, 4:2:2, 4:4:4 and grey of 8 to 12 bits"

PlaneArray = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class PixelLayout:
    """Y, or Y, U, V, each a plane of its own, of 8 to 12 bits."""

    name: str
    """As ffmpeg calls it, such as `yuv422p10le`."""
    bits: int
    chroma_step_x: int
    chroma_step_y: int
    gray: bool

    @property
    def samples(self) -> tuple[int, int, int, bool]:
        """What matters to a sample, whatever the format is called."""
        return self.bits, self.chroma_step_x, self.chroma_step_y, self.gray

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """What a sample is stored in."""
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    def divides(self, width: int, height: int) -> bool:
        """Whether chroma samples cover whole pixels only."""
        return not (width % self.chroma_step_x or height % self.chroma_step_y)


@lru_cache
def find_layout(name: str) -> PixelLayout | None:
    """The layout of a pixel format that films can be painted in; None for RGB, alpha and the exotic."""
    form = av.VideoFormat(name, 16, 16)
    parts = form.components
    planar = [part.plane for part in parts] in ([0], [0, 1, 2])
    ours = sys.byteorder == ("big" if form.is_big_endian else "little")
    if form.is_rgb or form.has_palette or not planar or not (ours or parts[0].bits == 8):
        return None
    depths = {part.bits for part in parts}
    steps = [16 // part.width for part in parts], [16 // part.height for part in parts]
    if len(depths) > 1 or not 8 <= max(depths) <= _DEEPEST_BITS or max(*steps[0], *steps[1]) > 2:
        return None
    return PixelLayout(name, depths.pop(), steps[0][-1], steps[1][-1], len(parts) == 1)


def layout_name(like: PixelLayout, bits: int, step_x: int, step_y: int) -> str:
    """The pixel format of another depth and sampling; grey stays grey, 8-bit full range keeps its name."""
    depth = "" if bits == 8 else f"{bits}{'le' if sys.byteorder == 'little' else 'be'}"
    if like.gray:
        return f"gray{depth}"
    sampling = {(2, 2): "420", (2, 1): "422", (1, 1): "444", (1, 2): "440"}[step_x, step_y]
    range_mark = "j" if like.name.startswith("yuvj") and bits == 8 else ""
    return f"yuv{range_mark}{sampling}p{depth}"


def known_layout(name: str) -> PixelLayout:
    """The layout of a pixel format that probing or fitting has let through."""
    layout = find_layout(name)
    assert layout is not None, f"{name} should have been refused"
    return layout


def plane_arrays(frame: av.VideoFrame) -> list[PlaneArray]:
    """Views of a frame's visible pixels, (H,W) per plane; they live as long as the frame."""
    dtype = known_layout(frame.format.name).dtype
    views = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype.itemsize)
        views.append(rows[: plane.height, : plane.width])
    return views
