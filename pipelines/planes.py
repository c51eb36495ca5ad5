"""Between decoded frames and the engine: planes as tensors, and what they mean as colour."""

import torch
from av import VideoFrame

from pipelines.media.colour import Colour
from pipelines.media.encoding import Encoding
from pipelines.media.layouts import PixelLayout, PlaneArray, plane_arrays
from pipelines.media.source_info import SourceInfo
from stylecore.bus import Planes
from stylecore.light import Dynamic
from stylecore.orientation import Orientation
from stylecore.pixels import YuvFormat


def yuv_format(info: SourceInfo) -> YuvFormat:
    """How a source's planes mean colour."""
    return _format(info.colour, info.layout, Orientation(*info.turn))


def painted_format(info: SourceInfo, encoding: Encoding) -> YuvFormat:
    """How a delivery's planes do: what frames are painted in."""
    return _format(encoding.colour, encoding.layout, Orientation(*info.turn))


def _format(colour: Colour, layout: PixelLayout, orientation: Orientation) -> YuvFormat:
    return YuvFormat(
        colour.meant_matrix,
        colour.full_range,
        layout.chroma_step_x,
        layout.chroma_step_y,
        layout.gray,
        layout.bits,
        orientation,
        layout.alpha,
        Dynamic(colour.curve, colour.peak_nits) if colour.curve else None,
    )


def frame_planes(frame: VideoFrame) -> Planes:
    """A frame's planes (H,W), uint8 or int16, copied out of the decoder's memory."""
    views = plane_arrays(frame)
    return [torch.from_numpy(view.astype("u1" if view.itemsize == 1 else "i2")) for view in views]


def painted_arrays(planes: Planes) -> list[PlaneArray]:
    """Painted planes as an encoder takes them."""
    return [plane.numpy().view("u1" if plane.dtype == torch.uint8 else "u2") for plane in planes]
