"""Write the demo's film: 24 fps H.264 with AAC sound, a title and chapters, in one mp4."""

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from pipelines import progress
from pipelines.demo.canvas import SIZE, Picture
from pipelines.demo.scenes import SCENES
from pipelines.demo.sound import RATE, score

FPS = 24
_AAC_FRAME = 1024


def shot_frames(seconds: float | None) -> list[int]:
    """Frames of each shot; a shorter film keeps every shot and shortens them alike."""
    whole = sum(length for _, length in SCENES)
    scale = min(1.0, seconds / whole) if seconds else 1.0
    return [max(12, round(length * scale * FPS)) for _, length in SCENES]


def frames(lengths: list[int]) -> Iterator[Picture]:
    """Every picture of the film, in order."""
    for (scene, _), length in zip(SCENES, lengths, strict=True):
        for number in range(length):
            yield scene(number / max(1, length - 1))


def write_film(path: Path, seconds: float | None = None) -> None:
    """Draw the film to `path`, whole or not at all."""
    lengths = shot_frames(seconds)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial.mp4")
    progress.begin("draw", sum(lengths))
    with av.open(str(partial), "w", container_options={"fflags": "+bitexact"}) as out:
        out.metadata["title"] = "A Day's Journey"
        video = out.add_stream(
            "libx264", rate=FPS, options={"crf": "16", "preset": "veryfast", "threads": "2"}
        )
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        video.time_base = Fraction(1, FPS)
        video.codec_context.colorspace = video.codec_context.color_primaries = 1
        video.codec_context.color_trc = video.codec_context.color_range = 1
        audio = out.add_stream("aac", rate=RATE, layout="mono")
        _write_chapters(out, lengths)
        out.start_encoding()
        for packet in _video_packets(video, lengths):
            out.mux(packet)
        for packet in _audio_packets(audio, lengths):
            out.mux(packet)
    os.replace(partial, path)


def _write_chapters(out: av.container.OutputContainer, lengths: list[int]) -> None:
    chapters, start = [], 0
    for number, ((scene, _), length) in enumerate(zip(SCENES, lengths, strict=True)):
        facts = {"id": number, "start": start, "end": start + length, "time_base": Fraction(1, FPS)}
        chapters.append({**facts, "metadata": {"title": scene.__name__.capitalize()}})
        start += length
    out.set_chapters(chapters)


def _video_packets(stream: av.VideoStream, lengths: list[int]) -> Iterator[av.Packet]:
    for number, picture in enumerate(frames(lengths)):
        pixels = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
        rgb = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame = rgb.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        progress.advance()
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _audio_packets(stream: av.AudioStream, lengths: list[int]) -> Iterator[av.Packet]:
    sound = score([length / FPS for length in lengths])
    for start in range(0, len(sound), _AAC_FRAME):
        piece = sound[None, start : start + _AAC_FRAME]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        yield from stream.encode(frame)
    yield from stream.encode(None)
