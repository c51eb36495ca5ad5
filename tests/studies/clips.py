"""What the studies look at: a few consecutive frames of one shot of real films, and the paintings."""

from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from pipelines.media.camera import STILL, move_between, view
from stylecore.canvas import Drift
from stylecore.images import load_picture, resize_short_side
from stylecore.parts import apply_change
from stylecore.pixels import YuvFormat, to_rgb
from stylecore.training.spec import TrainSpec

FRAMES = 24
MAX_HEIGHT_PX = 360
PAINTING_SHORT_SIDE_PX = TrainSpec().painting_short_side_px
"""The size in which our bundled styles learned their paintings: strokes count in pixels."""
CLIPS = {
    "bunny": ("bbb_720p24_30s_vp8_vorbis.webm", 396),
    "sintel": ("sintel_trailer_480p24_30s_noaudio.mp4", 648),
    "dog": ("androidx_dog_720p30_live.mp4", 60),
    "chaplin": ("chaplin_360p25_bw.mp4", 12),
}
"""File and first frame: a bird on a branch; a girl under a dragon; a moving camera; a man runs in."""


@dataclass(frozen=True)
class Clip:
    """Frames of one shot as 8-bit planes and as RGB (3,H,W)."""

    name: str
    form: YuvFormat
    planes: list[list[Tensor]]
    rgb: list[Tensor]
    drifts: list[Drift]
    """How far the scene has moved since the first frame, as the product's index measures it."""

    def delivered(self, painted: list[Tensor]) -> list[Tensor]:
        """Any system's frames as a film carries them: 8 bit, chroma at the source's sampling."""
        made = []
        for planes, source, frame in zip(self.planes, self.rgb, painted, strict=True):
            change = (frame - source)[None]
            made.append(to_rgb(apply_change(planes, change, self.form, keep_color=False), self.form)[0])
        return made


def load_clip(data: Path, name: str) -> Clip:
    """The clip's frames, 4:2:0, scaled down to `MAX_HEIGHT_PX` where higher."""
    file, start = CLIPS[name]
    with av.open(str(data / "clips" / file)) as container:
        frames = list(islice(container.decode(video=0), start, start + FRAMES))
    form = YuvFormat("bt709", False)
    planes = [_planes(frame) for frame in frames]
    return Clip(name, form, planes, [to_rgb(frame, form)[0] for frame in planes], _drifts(planes))


def _drifts(planes: list[list[Tensor]]) -> list[Drift]:
    views = [view(luma.numpy()) for luma, *_ in planes]
    moves = [STILL, *(move_between(before, after) for before, after in pairwise(views))]
    down, right = accumulate(move.down for move in moves), accumulate(move.right for move in moves)
    return list(zip(down, right, strict=True))


def load_painting(path: Path) -> Tensor:
    """A painting (3,H,W) at the size in which styles are learned and judged."""
    return resize_short_side(load_picture(path), PAINTING_SHORT_SIDE_PX)


def painting_of(data: Path, style: str) -> Path:
    """The painting file that carries a style's name: "scream" is "munch_scream.jpg"."""
    found = sorted((data / "styles").glob(f"*{style.replace('-', '_')}*"), key=lambda path: len(path.name))
    if not found:
        raise SystemExit(f"no painting for style {style!r} in {data / 'styles'}")
    return found[0]


def _planes(frame: av.VideoFrame) -> list[Tensor]:
    scale = min(1.0, MAX_HEIGHT_PX / frame.height)
    width, height = (2 * round(side * scale / 2) for side in (frame.width, frame.height))
    small = frame.reformat(width, height, "yuv420p", interpolation="AREA")
    return [
        torch.from_numpy(
            np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width].copy()
        )
        for plane in small.planes
    ]
