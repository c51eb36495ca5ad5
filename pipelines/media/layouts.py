"""Pixel layouts: which planes a decoded frame has, how deep they are, and how sparse their chroma is."""

import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

_DEEPEST_BITS = 12
HANDLED = "4:2:0, 4:2:2, 4:4:4, RGB and grey of 8 to 12 bits, with or without alpha"
_PACKED = {
    **dict.fromkeys(("rgb24", "bgr24", "rgb0", "bgr0", "0rgb", "0bgr"), "gbrp"),
    **dict.fromkeys(("rgba", "bgra", "argb", "abgr", "pal8"), "gbrap"),
    **dict.fromkeys(("yuyv422", "uyvy422", "yvyu422"), "yuv422p"),
    **dict.fromkeys(("nv12", "nv21"), "yuv420p"),
}
"""Formats whose samples lie side by side, and those that hold the very same samples plane by plane."""

PlaneArray = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class PixelLayout:
    """Y, or Y, U, V, or G, B, R, and alpha, each a plane of its own, of 8 to 12 bits."""

    name: str
    """As ffmpeg calls it, such as `yuv422p10le`."""
    bits: int
    chroma_step_x: int
    chroma_step_y: int
    gray: bool
    rgb: bool = False
    alpha: bool = False

    @property
    def samples(self) -> tuple[int | bool, ...]:
        """What matters to a sample, whatever the format is called."""
        return self.bits, self.chroma_step_x, self.chroma_step_y, self.gray, self.rgb, self.alpha

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """What a sample is stored in."""
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    def divides(self, width: int, height: int) -> bool:
        """Whether chroma samples cover whole pixels only."""
        return not (width % self.chroma_step_x or height % self.chroma_step_y)


@lru_cache
def find_layout(name: str) -> PixelLayout | None:
    """The layout of a pixel format that films can be painted in; None for the packed and the exotic."""
    form = av.VideoFormat(name, 16, 16)
    parts = form.components
    planes = [part.plane for part in parts]
    ours = sys.byteorder == ("big" if form.is_big_endian else "little")
    if form.has_palette or not (ours or parts[0].bits == 8):
        return None
    if sorted(planes) != list(range(len(planes))) or len(planes) == 2:
        return None
    depths = {part.bits for part in parts}
    steps = [16 // part.width for part in parts], [16 // part.height for part in parts]
    if len(depths) > 1 or not 8 <= max(depths) <= _DEEPEST_BITS or max(*steps[0], *steps[1]) > 2:
        return None
    color = parts[min(1, len(parts) - 1)]
    gray, alpha = len(parts) == 1, len(parts) == 4
    return PixelLayout(
        name, depths.pop(), 16 // color.width, 16 // color.height, gray, bool(form.is_rgb), alpha
    )


def planar_name(name: str) -> str:
    """The format in which frames are read: the stored one, or the planar one of the same samples."""
    return _PACKED.get(name, name)


def layout_name(like: PixelLayout, bits: int, step_x: int, step_y: int) -> str:
    """The pixel format of another depth and sampling; grey stays grey, 8-bit full range keeps its name."""
    depth = "" if bits == 8 else f"{bits}{'le' if sys.byteorder == 'little' else 'be'}"
    if like.gray:
        return f"gray{depth}"
    if like.rgb:
        return f"gbr{'a' * like.alpha}p{depth}"
    sampling = {(2, 2): "420", (2, 1): "422", (1, 1): "444", (1, 2): "440"}[step_x, step_y]
    range_mark = "j" if like.name.startswith("yuvj") and bits == 8 else ""
    return f"yuv{range_mark}{'a' * like.alpha}{sampling}p{depth}"


def known_layout(name: str) -> PixelLayout:
    """The layout of a pixel format that probing or fitting has let through."""
    layout = find_layout(name)
    assert layout is not None, f"{name} should have been refused"
    return layout


def in_format(frame: av.VideoFrame, name: str) -> av.VideoFrame:
    """The frame's samples in another pixel format.

    By a converter that goes with the call: a frame's own holds threads until garbage is collected.
    """
    return VideoReformatter().reformat(frame, format=name, threads=1)


def plane_arrays(frame: av.VideoFrame) -> list[PlaneArray]:
    """Views of a frame's visible pixels, (H,W) per plane; they live as long as the frame, if it is planar."""
    frame = in_format(frame, planar_name(frame.format.name))
    dtype = known_layout(frame.format.name).dtype
    views = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype.itemsize)
        views.append(rows[: plane.height, : plane.width])
    return views
