"""A row of pictures as a moving one: GIF, WebP or MP4, told by the file's name."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image

ANIMATIONS = (".gif", ".webp", ".mp4")
_FRAME_MS = 80
_LAST_MS = 2000


def write_animation(pictures: Sequence[Image.Image], target: Path) -> None:
    """Write pictures of one size, twelve and a half a second; the last one stays for two seconds."""
    if target.suffix.lower() == ".mp4":
        _write_film(pictures, target)
        return
    times_ms = [_FRAME_MS] * (len(pictures) - 1) + [_LAST_MS]
    first, *others = pictures
    first.save(target, save_all=True, append_images=others, duration=times_ms, loop=0, quality=88)


def _write_film(pictures: Sequence[Image.Image], target: Path) -> None:
    width, height = (side - side % 2 for side in pictures[0].size)
    shown = [*pictures, *[pictures[-1]] * (_LAST_MS // _FRAME_MS - 1)]
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", Fraction(1000, _FRAME_MS), options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in shown:
            frame = av.VideoFrame.from_image(picture.crop((0, 0, width, height)))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
