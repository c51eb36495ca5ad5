"""Between decoded frames and the engine: planes as tensors, and what they mean as colour."""

import numpy as np
import torch
from av import VideoFrame

from pipelines.media.index import plane_arrays
from pipelines.media.probe import HANDLED_PIXELS, SourceInfo
from stylecore.pixels import YuvFormat
from stylecore.stylize import Planes


def yuv_format(info: SourceInfo) -> YuvFormat:
    """How a source's planes mean colour."""
    step_x, step_y = HANDLED_PIXELS[info.pixel_format]
    colour = info.colour
    return YuvFormat(colour.meant_matrix, colour.full_range, step_x, step_y, info.pixel_format == "gray")


def frame_planes(frame: VideoFrame) -> Planes:
    """A frame's planes (H,W) uint8, copied out of the decoder's memory."""
    return [torch.from_numpy(np.array(view)) for view in plane_arrays(frame)]
