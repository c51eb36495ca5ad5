"""Containers opened for reading, or a typed refusal that says why; what their streams say of themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from PIL import Image, UnidentifiedImageError

from pipelines.errors import InputError, UnreadError
from pipelines.media.containers import READ

MAX_PIXELS = 8192 * 8192
_OPEN = {
    "protocol_whitelist": "file",
    # Playlists, images and scripts are media to ffmpeg too; none of them may come in as a film.
    "format_whitelist": "mov,mp4,matroska,webm,mpegts,mpeg,avi,asf,flv,ogg,mxf,nut,h264,hevc,wav,mp3,flac",
}


@contextmanager
def open_source(path: Path) -> Iterator[InputContainer]:
    """The container for reading; every way it can fail to open becomes an InputError that says why."""
    try:
        container = av.open(str(path.absolute()), container_options=_OPEN, buffer_size=1 << 20)
    except (av.FFmpegError, OSError, ValueError) as err:
        kind = InputError if path.exists() else UnreadError
        raise kind(_why_unreadable(path, err)) from err
    with container:
        yield container


def configure(stream: VideoStream, single_threaded: bool = False) -> VideoCodecContext:
    """Decoder settings under which the same packet gives the same frame in every build and everywhere.

    Of a damaged film only a decoder of a single thread does: others conceal with what happens to be there.
    """
    context = stream.codec_context
    context.thread_type = "NONE" if single_threaded else "AUTO"
    context.flags |= av.codec.context.Flags.unaligned | av.codec.context.Flags.bitexact
    context.options = {"idct": "simple", "max_pixels": str(MAX_PIXELS)}
    return context


def is_cover(stream: av.stream.Stream) -> bool:
    """Whether a video stream is the picture on the box, not the film."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def declared_rates(video: VideoStream) -> list[Fraction]:
    """What is said of a film's rate: the mean of its times, their common measure, and the codec's word."""
    said = video.average_rate, video.base_rate, video.codec_context.framerate
    return [Fraction(rate) for rate in said if rate]


def _why_unreadable(path: Path, err: Exception) -> str:
    if not path.exists():
        return f"{path}: not found"
    if path.is_dir():
        return f"{path}: a folder, not a film"
    if isinstance(err, PermissionError):
        return f"{path}: may not be read (permission denied)"
    if path.stat().st_size == 0:
        return f"{path.name}: empty (0 bytes); the copy failed"
    try:
        with Image.open(path) as picture:
            return f"{path.name}: a picture ({picture.format}), not a film"
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        pass
    return f"{path.name}: not a film that can be read ({READ}); damaged, cut short or not media"
