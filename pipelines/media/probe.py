"""Facts of a media file, or a typed refusal within seconds. PyAV and the ffmpeg command; no ffprobe."""

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.sidedata.sidedata import Type
from av.video.stream import VideoStream

from pipelines.errors import InputError
from pipelines.media.child import Message, limit_memory, read_in_child
from pipelines.media.colour import CHROMA_SITES, DOLBY_VISION, UNSPECIFIED, read_colour
from pipelines.media.containers import BROADCAST, READ, Family, family_of
from pipelines.media.decoding import frames_of, packets_of
from pipelines.media.ffmpeg import described
from pipelines.media.layouts import HANDLED, find_layout, planar_name
from pipelines.media.opening import MAX_PIXELS, configure, is_cover, open_source
from pipelines.media.plain import revive
from pipelines.media.source_info import WIDEST_PIXEL_BYTES, SourceInfo, Track, turn_of

MAX_STREAMS = 64


def probe(path: Path) -> SourceInfo:
    """Read the headers and decode one frame; refuse what this version does not handle."""
    answers = [json.loads(bytes(message[0])) for message in read_in_child(path.name, _probe, path)]
    info = revive(SourceInfo, answers[0])
    told = _words_of_ffmpeg(path, info)
    colour = replace(info.colour, chroma_site=_chroma_site(told))
    return replace(info, colour=colour, crop=_crop(told), projection=_projection(told))


def _words_of_ffmpeg(path: Path, info: SourceInfo) -> str:
    """What ffmpeg's own words are about the picture."""
    _, _, told = described(path).partition(f"Stream #0:{info.video_index}")
    return told.partition("Stream #0:")[0]


def _chroma_site(told: str) -> str:
    """Where chroma of 4:2:0 lies, if that is not the usual place."""
    found = re.match(rf".*, ({'|'.join(CHROMA_SITES)})\), \d+x\d+", told)
    return found[1] if found and found[1] != "left" else ""


def _crop(told: str) -> str:
    found = re.search(r"Frame Cropping: (\d+/\d+/\d+/\d+)", told)
    return found[1] if found else ""


def _projection(told: str) -> str:
    found = re.findall(r"^ +(Spherical Mapping|Stereo 3D): ([a-z][a-z0-9 -]*[a-z0-9])", told, re.MULTILINE)
    return " and ".join(f"{kind.lower()}, {form}" for kind, form in found)


def _probe(path: Path) -> Iterator[Message]:
    with open_source(path) as container:
        _refuse_many(path, container)
        family = family_of(container)
        if family is None:
            found = container.format.long_name
            raise InputError(f"{path.name}: container {found}; handled are {READ}")
        video = _main_video(path, container)
        context = configure(video)
        first = _first_frame(path, container, video)
        info = SourceInfo(
            container=family,
            video_index=video.index,
            codec=context.name,
            width=first.width,
            height=first.height,
            pixel_format=planar_name(first.format.name),
            stored_format=first.format.name,
            sample_aspect=video.sample_aspect_ratio or Fraction(0),
            time_base=Fraction(video.time_base or 0),
            colour=read_colour(context, first),
            frames_declared=video.frames,
            duration_declared=Fraction(container.duration or 0, av.time_base),
            rate_declared=Fraction(video.average_rate or 0),
            tracks=tuple(_track(stream, len(container.chapters())) for stream in container.streams),
            chapters=len(container.chapters()),
            display_matrix=_display_matrix(first),
            captions=has_captions(first),
            unread_alpha=video.metadata.get("alpha_mode") == "1",
            clock_start=_clock_start(family, container),
        )
        _refuse_unhandled(path, info, first)
        yield [json.dumps(asdict(info), default=str).encode()]


def _clock_start(family: Family, container: InputContainer) -> Fraction:
    running = family in BROADCAST  # a clock of 26 hours, which a capture joins at any of them
    return Fraction(container.start_time or 0, av.time_base) if running else Fraction(0)


def _refuse_many(path: Path, container: InputContainer) -> None:
    if len(container.streams) > MAX_STREAMS:
        raise InputError(
            f"{path.name}: has {len(container.streams)} streams; at most {MAX_STREAMS} are handled"
        )


def _main_video(path: Path, container: InputContainer) -> VideoStream:
    # A stream of a codec that nobody knows has no decoder, and so no size either.
    known = [stream for stream in container.streams.video if stream.codec_context is not None]
    films = [stream for stream in known if not is_cover(stream)]
    if not films:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise InputError(f"{path.name}: no video track (found: {kinds}); give a film with a picture")
    flagged = [stream for stream in films if stream.disposition & av.stream.Disposition.default]
    return max(flagged or films, key=lambda stream: stream.width * stream.height)


def has_captions(frame: av.VideoFrame) -> bool:
    """Whether closed captions lie inside a picture (CEA-608/708)."""
    return any(data.type == Type.A53_CC for data in frame.side_data)


def _first_frame(path: Path, container: InputContainer, video: VideoStream) -> av.VideoFrame:
    if video.width * video.height > MAX_PIXELS:
        raise InputError(
            f"{path.name}: {video.width}x{video.height} is over the limit of {MAX_PIXELS} pixels"
        )
    limit_memory(video.width * video.height * WIDEST_PIXEL_BYTES)
    for packet in packets_of(container, video):
        if packet.has_sidedata("encryption_info"):
            raise InputError(f"{path.name}: protected against copying (DRM); it cannot be processed")
        if frames := frames_of(packet):
            return frames[0]
    raise InputError(f"{path.name}: its video track holds no frame that can be decoded; damaged or cut short")


def _track(stream: av.stream.Stream, chapters: int) -> Track:
    name = getattr(stream.codec_context, "name", None) or ""
    tags = stream.metadata
    role = "cover" if is_cover(stream) else ""
    if stream.type == "data" and "timecode" in tags:
        role = "timecode"
    elif stream.type == "data" and chapters and stream.frames == chapters:
        role = "chapters"
    title = tags.get("title") or tags.get("name", "")
    return Track(stream.index, stream.type, name, tags.get("language", ""), title, role)


def _display_matrix(frame: av.VideoFrame) -> tuple[int, ...]:
    held = next((data for data in frame.side_data if data.type == Type.DISPLAYMATRIX), None)
    return struct.unpack("<9i", bytes(held)) if held else ()


def _refuse_unhandled(path: Path, info: SourceInfo, first: av.VideoFrame) -> None:
    reason = _unhandled(info, first)
    if reason:
        raise InputError(f"{path.name}: {reason}, which this version does not handle")


def _unhandled(info: SourceInfo, first: av.VideoFrame) -> str:
    colour = info.colour
    if find_layout(info.pixel_format) is None:
        return f"pixel format {info.pixel_format} (handled: {HANDLED})"
    if not colour.meant_matrix:
        return f"colour matrix {colour.matrix} (handled: BT.601, BT.709, BT.2020)"
    if DOLBY_VISION in colour.dynamic_metadata and colour.transfer == UNSPECIFIED:
        return "Dolby Vision without a base that others can show (profile 5); ask for an HDR10 or HLG master"
    if turn_of(info.display_matrix) is None:
        return f"the picture is held at {first.rotation} degrees (handled: quarter turns and mirrors)"
    if info.time_base <= 0:
        return "the video has no time base"
    if min(info.width, info.height) < 16:
        return f"the picture is {info.width}x{info.height}, under 16 pixels"
    return ""
