"""What is seen of every packet and every frame in one sequential decode. Runs in a child process."""

import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from pipelines.media.camera import STILL, View, move_between, view
from pipelines.media.child import Message, limit_memory
from pipelines.media.colour import other_light
from pipelines.media.decoding import checksum, frames_of, is_end, packets_of
from pipelines.media.fields import NO_FIELDS, FieldOrder, Lines, compare_fields, take_lines
from pipelines.media.layouts import plane_arrays
from pipelines.media.opening import configure, open_source
from pipelines.media.probe import has_captions
from pipelines.media.shots import Signature, change, sign
from pipelines.media.source_info import SourceInfo


@dataclass(frozen=True, slots=True)
class PacketSeen:
    """One packet as it was demuxed, and how decoding it went."""

    pts: int | None
    dts: int | None
    duration: int
    key: bool
    size: int
    crc: int
    damaged: bool
    """The demuxer or the decoder found it to be."""
    skipped: bool
    """Not meant to be shown: cut off by an edit list."""


@dataclass(frozen=True, slots=True)
class FrameSeen:
    """One frame as it came out of the decoder."""

    packet: int | None
    """Ordinal of the packet that holds it; None where the decoder made it up."""
    width: int
    height: int
    pixel_format: str
    concealed: bool
    crc: int = 0
    luma: float = 0.0
    contrast: float = 0.0
    interlaced: bool = False
    change: float = 0.0
    """Since the frame before, as `shots.change` tells it."""
    moved_down: float = 0.0
    moved_right: float = 0.0
    top_first: bool = True
    combing: float = 0.0
    combing_before: float = 0.0
    top_change: float = 0.0
    bottom_change: float = 0.0
    """How its fields go together; see `fields.FieldFacts`."""
    light: str = ""
    """What it says of its light, where that is not the film's."""
    captions: bool = False
    """Whether it carries closed captions."""
    shape: str = ""
    """Of its pixels, width over height, where the stream itself says so."""


def observe(path: Path, info: SourceInfo, single_threaded: bool) -> Iterator[Message]:
    """JSON, a message a packet: `packet`, and the `frames` that came out; then `seconds`, where all ends."""
    limit_memory(info.picture_bytes)
    with open_source(path) as container:
        stream = container.streams[info.video_index]
        configure(stream, single_threaded)
        start = end = Fraction(container.start_time or 0, av.time_base)
        eye, ordinal = _Eye(info), 0
        for packet in packets_of(container):
            if packet.pts is not None and packet.time_base:
                end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
            if packet.stream.index != info.video_index:
                continue
            seen = None if is_end(packet) else _packet_facts(packet)
            if seen is not None:
                packet.pts, ordinal = ordinal, ordinal + 1
            frames = frames_of(packet)
            shape = str(stream.codec_context.sample_aspect_ratio or "")
            if seen is not None:
                seen["damaged"] |= frames is None
            yield _message(packet=seen, frames=[asdict(eye.look(frame, shape)) for frame in frames or []])
    yield _message(seconds=str(end - min(start, Fraction(0))))


def _message(**facts: Any) -> list[bytes]:
    return [json.dumps(facts).encode()]


def _packet_facts(packet: av.Packet) -> dict[str, Any]:
    return asdict(
        PacketSeen(
            packet.pts,
            packet.dts,
            packet.duration or 0,
            packet.is_keyframe,
            packet.size,
            zlib.crc32(bytes(packet)),
            packet.is_corrupt,
            packet.is_discard,
        )
    )


class _Eye:
    """Looks at frames one after the other; remembers the last for what has changed and moved."""

    def __init__(self, info: SourceInfo) -> None:
        self.info = info
        self.order = FieldOrder()
        self.before: tuple[Signature, View, Lines] | None = None

    def look(self, frame: av.VideoFrame, shape: str) -> FrameSeen:
        """What is seen of the next frame; of one that is not like the film's, only that."""
        form, light = (frame.width, frame.height, frame.format.name), other_light(self.info.colour, frame)
        if light or form != (self.info.width, self.info.height, self.info.stored_format):
            return FrameSeen(frame.pts, *form, concealed=frame.is_corrupt, light=light)
        luma, bits = plane_arrays(frame)[0], self.info.layout.bits
        signature, seen, lines = sign(luma, bits), view(luma, bits), take_lines(luma, bits)
        top_first, changed, move, fields = self.order.top_first(frame), 0.0, STILL, NO_FIELDS
        if self.before is not None:
            changed, move = change(self.before[0], signature), move_between(self.before[1], seen)
            fields = compare_fields(self.before[2], lines, top_first)
        self.before = signature, seen, lines
        return FrameSeen(
            frame.pts,
            *form,
            concealed=frame.is_corrupt,
            crc=checksum(frame),
            luma=signature.mean,
            contrast=signature.contrast,
            interlaced=frame.interlaced_frame,
            change=changed,
            moved_down=move.down,
            moved_right=move.right,
            top_first=top_first,
            captions=has_captions(frame),
            shape=shape,
            **asdict(fields),
        )
