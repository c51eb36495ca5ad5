"""What is in a film, told without stylereel: PyAV and hashlib alone. And how two films differ."""

import hashlib
import zlib
from dataclasses import dataclass, field
from fractions import Fraction
from math import inf, log10
from pathlib import Path

import av
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import Type

_OF_THE_FILE = {"major_brand", "minor_version", "compatible_brands", "encoder", "creation_time"}
_LIGHT = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")


@dataclass
class Stream:
    """One stream beside the picture."""

    kind: str
    codec: str
    language: str
    title: str
    disposition: int
    digest: str = ""
    packets: int = 0
    times: list[Fraction] = field(default_factory=list)


@dataclass
class Account:
    """A film as a witness sees it."""

    frames: list[tuple[str, int]]
    """Pixel format and checksum of every picture."""
    times: list[Fraction | None]
    marks: dict[str, object]
    """Colour, shape and hold of the picture."""
    streams: list[Stream]
    tags: dict[str, str]
    chapters: list[tuple[int, int, str]]


def account_of(path: Path) -> Account:
    """Decode and demux a film from end to end."""
    with av.open(str(path)) as container:
        main = _main(container)
        frames, times, marks = _pictures(container, main)
        chapters = [_chapter(chapter) for chapter in container.chapters()]
        tags = {key.lower(): value for key, value in container.metadata.items()}
    with av.open(str(path)) as container:
        streams = _others(container, main)
    kept = {key: value for key, value in tags.items() if key not in _OF_THE_FILE}
    return Account(frames, times, marks, streams, kept, chapters)


def decibels(one: Path, other: Path) -> float:
    """Worst PSNR of a frame, compared as RGB; infinite when all are equal."""
    worst = inf
    with av.open(str(one)) as first, av.open(str(other)) as second:
        pairs = zip(
            first.decode(first.streams[_main(first)]),
            second.decode(second.streams[_main(second)]),
            strict=True,
        )
        for a, b in pairs:
            error = np.square(
                a.to_ndarray(format="rgb24").astype(float) - b.to_ndarray(format="rgb24")
            ).mean()
            worst = min(worst, 10 * log10(255**2 / error) if error else inf)
    return worst


def _main(container: av.container.InputContainer) -> int:
    covers = av.stream.Disposition.attached_pic
    films = [stream for stream in container.streams.video if not stream.disposition & covers]
    default = [stream for stream in films if stream.disposition & av.stream.Disposition.default]
    film = max(default or films, key=lambda stream: stream.width * stream.height)
    film.thread_type = "NONE"  # several threads conceal damage at random
    return film.index


def _pictures(container, index):
    stream, frames, times, marks, graph = container.streams[index], [], [], {}, None
    stream.codec_context.flags |= av.codec.context.Flags.unaligned | av.codec.context.Flags.bitexact
    stream.codec_context.options = {"idct": "simple"}
    for frame in container.decode(stream):
        frames.append((frame.format.name.replace("yuvj", "yuv"), _checksum(frame)))
        times.append(None if frame.pts is None else frame.pts * frame.time_base)
        graph = graph or _top_first(frame)
        if not marks:
            marks = _marks(frame, stream, graph)
    return frames, times, marks


def _checksum(frame) -> int:
    """Of the visible samples, plane after plane."""
    form, crc = frame.format, 0
    bits = form.padded_bits_per_pixel if form.is_rgb and not form.is_planar else form.components[0].bits
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        wide = plane.width * -(-bits // 8)
        crc = zlib.crc32(np.ascontiguousarray(rows[: plane.height, :wide]).data, crc)
    return crc


def _marks(frame, stream, graph) -> dict[str, object]:
    matrix = next((bytes(data) for data in frame.side_data if data.type == Type.DISPLAYMATRIX), b"")
    graph.push(frame)
    try:
        graph.vpull()
        first = "top"
    except (av.BlockingIOError, av.EOFError):
        first = "bottom"
    shape = stream.sample_aspect_ratio or Fraction(1)
    return {
        "size": (frame.width, frame.height),
        "full range": int(frame.color_range) == 2,  # unsaid is limited (H.264, E.2.1)
        "matrix": int(frame.colorspace),
        "primaries": int(frame.color_primaries),
        "transfer": int(frame.color_trc),
        "sample aspect": Fraction(1) if shape <= 0 else Fraction(shape),
        "hold": matrix if any(matrix) else b"",
        "scan": first if frame.interlaced_frame else "progressive",
        "light": sorted(data.type.name for data in frame.side_data if data.type.name in _LIGHT),
    }


def _top_first(frame) -> Graph:
    graph = Graph()
    entry = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
    )
    picker = graph.add("select", r"eq(interlace_type\,TOPFIRST)")
    entry.link_to(picker)
    picker.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def _others(container, main: int) -> list[Stream]:
    found, hashes = {}, {}
    for stream in container.streams:
        if stream.index == main:
            continue
        tags = {key.lower(): value for key, value in stream.metadata.items()}
        codec = getattr(stream.codec_context, "name", "") or ""
        made = Stream(
            stream.type, codec, tags.get("language", "und"), tags.get("title", ""), int(stream.disposition)
        )
        found[stream.index], hashes[stream.index] = made, hashlib.sha256()
        if stream.type == "attachment":
            hashes[stream.index].update(bytes(stream.data or b""))
    for packet in container.demux():
        if packet.stream.index in found and packet.size:
            made = found[packet.stream.index]
            hashes[packet.stream.index].update(_payload(packet, made.codec))
            made.packets += 1
            if packet.pts is not None:
                made.times.append(packet.pts * packet.time_base)
    for index, made in found.items():
        made.digest = hashes[index].hexdigest()
    return list(found.values())


def _payload(packet, codec: str) -> bytes:
    """Without the ADTS header, which AAC wears in transport streams only."""
    data = bytes(packet)
    if codec == "aac" and len(data) > 9 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0:
        return data[7:] if data[1] & 1 else data[9:]
    return data


def _chapter(chapter) -> tuple[int, int, str]:
    base = Fraction(chapter["time_base"])
    start, end = (round(chapter[key] * base * 1000) for key in ("start", "end"))
    return start, end, chapter["metadata"].get("title", "")
