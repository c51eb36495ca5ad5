"""Numbered picture files, one for each frame: their names, what is in them, how they are written and read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ConformError, UsageError
from pipelines.media.encoding import Encoding
from pipelines.media.rgb import coded_light
from pipelines.media.tracks import DROPPED, Fate

SUFFIXES = (".png", ".tif", ".tiff", ".exr")
Rgb = NDArray[Any]
"""A picture (H,W,3): uint8, uint16, or float16 and float32 in linear light."""

_LEFT_BY_SYSTEMS = (
    *(".ds_store", "._*", ".directory", ".nfs*", ".fuse_hidden*", ".trash-*", ".thumbnails"),
    *("@eadir", "@recycle", "thumbs.db", "desktop.ini"),
)
_NUMBER = re.compile(r"%(?:0(\d*))?d")
"""Without spaces before the number, as `%5d` would have them."""
# Codes of H.273 and the curve by which light is coded; what is not said is taken for BT.709.
_CURVES = {1: "bt709", 2: "bt709", 6: "bt709", 11: "bt709", 12: "bt709", 14: "bt709", 15: "bt709"} | {
    13: "srgb",
    4: "gamma22",
    5: "gamma28",
    8: "linear",
}


@dataclass(frozen=True)
class Pictures:
    """How the frames of a delivery become files.

    A file's number is its frame's in the film, counted from 0, as in ranges, plans and timecodes: what is
    made anew of a range drops into its place.
    """

    pattern: str
    """A file's name, such as `frame_%06d.png`."""
    codec: str
    pixel_format: str
    options: tuple[tuple[str, str], ...]
    linear: bool
    """Whether samples are linear light, not as the film codes them."""
    curve: str
    """By which curve the film codes light."""

    def name(self, frame: int) -> str:
        """The file of a frame."""
        return self.pattern % frame

    @property
    def stem(self) -> str:
        """What the files beside the pictures are called."""
        return _stem(self.pattern)

    @property
    def index_name(self) -> str:
        """The file that tells each picture's time."""
        return index_name(self.pattern)

    def sidecar_name(self, fates: Sequence[Fate]) -> str:
        """The file with sound and subtitles; empty when there are none."""
        kinds = {fate.track.kind for fate in fates if fate.action != DROPPED}
        if "subtitle" in kinds:
            return f"{self.stem}.mkv"
        return f"{self.stem}.mka" if "audio" in kinds else ""

    @property
    def samples(self) -> str:
        """What a sample is, for people."""
        depth = {"rgb24": "8 bits", "rgb48be": "16 bits", "rgb48le": "16 bits"}.get(self.pixel_format)
        return f"RGB of {depth}, coded as in the film" if depth else "RGB of half floats, linear light"


def _stem(pattern: str) -> str:
    return _NUMBER.sub("", Path(pattern).stem).strip("_-. ") or "frames"


def index_name(output: str) -> str:
    """The file beside the pictures of an output that tells each one's time."""
    return f"{_stem(output)}.json"


def is_of_delivery(output: str, name: str) -> bool:
    """Whether a file of this name is one of those that a delivery of pictures to `output` consists of."""
    before, digits, after = _NUMBER.split(Path(output).name)
    numbered = rf"{re.escape(before)}\d{{{digits or 1},}}{re.escape(after)}"
    beside = (index_name(output), f"{_stem(output)}.mkv", f"{_stem(output)}.mka")
    return name in beside or bool(re.fullmatch(numbered, name))


def is_left_by_systems(name: str) -> bool:
    """Whether it is one of those files that desktops and file servers leave in every folder."""
    return any(fnmatch(name.lower(), pattern) for pattern in _LEFT_BY_SYSTEMS)


def is_sequence(output: str) -> bool:
    """Whether an output's name asks for pictures."""
    return Path(output).suffix.lower() in SUFFIXES


def check_pattern(output: str) -> None:
    """Raise unless an output names numbered pictures in a folder."""
    name = Path(output).name
    if len(_NUMBER.findall(name)) != 1 or name.count("%") != 1:
        suffix = Path(output).suffix
        raise UsageError(
            f"output {name}: name the pictures with their number, such as frames/frame_%06d{suffix}"
        )


def make_pictures(output: str, encoding: Encoding, last_frame: int) -> Pictures:
    """The form of the pictures that an output's name asks for, for a film as it is encoded."""
    check_pattern(output)
    pattern, suffix = Path(output).name, Path(output).suffix.lower()
    digits = int((_NUMBER.search(pattern) or [""])[1] or 99)
    if last_frame >= 10**digits:
        raise UsageError(f"output {pattern}: {digits} digits cannot number frame {last_frame}; ask for more")
    transfer = encoding.colour.transfer
    if suffix == ".exr" and transfer not in _CURVES:
        raise UsageError(f"output {pattern}: transfer {transfer} has no known light; ask for .png or .tif")
    codec, pixels, options = {
        ".png": ("png", "rgb24" if encoding.layout.bits == 8 else "rgb48be", {"pred": "up"}),
        ".exr": ("exr", "gbrpf32le", {"format": "half", "compression": "zip16"}),
    }.get(suffix, ("tiff", "rgb48le", {"compression_algo": "deflate"}))
    curve = encoding.colour.curve or _CURVES.get(transfer, "bt709")
    return Pictures(pattern, codec, pixels, tuple(options.items()), suffix == ".exr", curve)


def write_picture(path: Path, pixels: Rgb, form: Pictures, pixel_aspect: Fraction) -> None:
    """One picture file; the same pixels always give the same bytes."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=form.pixel_format)
    frame.pts = 0
    context = av.CodecContext.create(form.codec, "w")
    context.width, context.height, context.pix_fmt = frame.width, frame.height, form.pixel_format
    context.time_base, context.thread_count = Fraction(1, 25), 1
    context.options = dict(form.options)
    if pixel_aspect:
        context.sample_aspect_ratio = pixel_aspect
    packets = [*context.encode(frame), *context.encode(None)]
    path.write_bytes(b"".join(bytes(packet) for packet in packets))


def read_picture(path: Path) -> Rgb:
    """The pixels of a picture file; a ConformError if it is none."""
    try:
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
    except (av.FFmpegError, OSError, StopIteration) as err:
        raise ConformError(f"{path.name}: not a picture that can be read") from err
    if frame.format.name != "gbrpf16le":
        return frame.to_ndarray()
    green, blue, red = (
        np.frombuffer(plane, np.float16).reshape(plane.height, -1)[:, : plane.width] for plane in frame.planes
    )
    return np.stack([red, green, blue], 2)


def screen_pixels(path: Path, form: Pictures) -> Rgb:
    """The pixels of a picture file as a screen takes them: 8 bits, coded as in the film."""
    pixels = read_picture(path)
    if form.linear:
        return (coded_light(pixels.astype(np.float32), form.curve).clip(0, 1) * 255).round().astype(np.uint8)
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
