"""A film to measure with, when none is given: a moment of the demo's, at any size."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from pipelines.demo.canvas import SIZE
from pipelines.demo.scenes import SCENES

_RATE = 24
_STEP = 1 / 240
"""How far a scene moves from frame to frame, of its whole."""


def write_moment(path: Path, height_px: int, frames: int) -> None:
    """Frames of one scene, enlarged, in H.264 as films come."""
    scene, width_px = SCENES[0][0], 2 * round(height_px * SIZE[0] / SIZE[1] / 2)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=_RATE, options={"crf": "18", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
        for number in range(frames):
            small = Image.fromarray((np.clip(scene(number * _STEP), 0, 1) * 255).astype(np.uint8))
            large = small.resize((width_px, height_px), Image.Resampling.BICUBIC)
            frame = av.VideoFrame.from_image(large).reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, _RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
