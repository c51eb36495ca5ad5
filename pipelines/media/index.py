"""The exact index of a film: one sequential decode, every packet and every frame with its checksum.

A frame's identity is the ordinal of its packet, carried through the decoder in `packet.pts`; timestamps
may lie, repeat or be missing, ordinals cannot.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av
import numpy as np

from pipelines.errors import InputError
from pipelines.media.camera import STILL, Small, move_between, shrink
from pipelines.media.clock import Clock, ClockError, mend
from pipelines.media.fields import FieldOrder, Lines, Picture, compare_fields, take_lines
from pipelines.media.layouts import plane_arrays
from pipelines.media.probe import SourceInfo, configure, open_source
from pipelines.media.shots import Signature, cut_scores, sign
from pipelines.timeline import Timeline


@dataclass(frozen=True, slots=True)
class PacketFacts:
    """One compressed packet, in decoding order."""

    pts: int | None
    dts: int | None
    duration: int
    key: bool
    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """One decoded frame, in presentation order."""

    packet: int
    """Ordinal of the packet that holds it."""
    pts: int
    crc: int
    """CRC-32 of its visible pixels, plane after plane."""
    key: bool
    luma: float
    """Mean of Y, in code values of 8 bits."""
    contrast: float
    """Standard deviation of a thumbnail of Y, in code values of 8 bits: black and flat frames have little."""
    interlaced: bool
    """Whether the frame holds two moments, in alternate lines."""
    moved_down: float
    moved_right: float
    """The picture's motion since the frame before, in fractions of its height."""
    top_first: bool = True
    """Whether the even lines of an interlaced frame are the earlier ones."""
    combing: float = 0.0
    combing_before: float = 0.0
    top_change: float = 0.0
    bottom_change: float = 0.0
    """How its fields go together; see `fields.FieldFacts`."""


@dataclass(frozen=True)
class FilmIndex:
    """Everything known about a film's frames: the stored ones, or the pictures made of them (`scan`)."""

    packets: tuple[PacketFacts, ...]
    frames: tuple[FrameFacts, ...]
    cut_scores: tuple[float, ...]
    timeline: Timeline
    clock_note: str = ""
    """What had to be mended in the source's timestamps."""
    scan_note: str = ""
    """What is done about interlacing."""
    pictures: tuple[Picture, ...] = ()
    """What each frame is made of; empty if frames are as they are stored."""
    stored: "FilmIndex | None" = None
    """The index of the stored frames, if `pictures` are made of them."""

    @cached_property
    def interlaced_frames(self) -> int:
        """Frames flagged as two moments in one."""
        return sum(facts.interlaced for facts in self.frames)


def checksum(frame: av.VideoFrame) -> int:
    """CRC-32 of the visible pixels, plane after plane."""
    crc = 0
    for view in plane_arrays(frame):
        crc = zlib.crc32(np.ascontiguousarray(view).data, crc)
    return crc


def is_end(packet: av.Packet) -> bool:
    """Whether this is the empty packet with which demuxing ends."""
    return packet.size == 0 and packet.pts is None and packet.dts is None


class Indexing:
    """One pass over a film: iterate for the number of frames seen so far, then ask for `index()`."""

    def __init__(self, path: Path, info: SourceInfo) -> None:
        self.path = path
        self.info = info
        self.packets: list[PacketFacts] = []
        self.frames: list[FrameFacts] = []
        self.signatures: list[Signature] = []
        self.before: Small | None = None
        self.order = FieldOrder()
        self.lines: Lines | None = None

    def __iter__(self) -> Iterator[int]:
        with open_source(self.path) as container:
            stream = container.streams[self.info.video_index]
            configure(stream)
            try:
                for packet in container.demux(stream):
                    self._note_packet(packet)
                    for frame in packet.decode():
                        self._note_frame(frame)
                        yield len(self.frames)
            except av.FFmpegError as err:
                raise self._damaged(str(err.strerror)) from err

    def index(self) -> FilmIndex:
        """The finished index; refuses a film that ends early or whose clock does not run forward."""
        self._refuse_empty()
        clock = self._clock()
        pts = clock.ticks
        self._refuse_truncated(pts)
        last = self.packets[self.frames[-1].packet].duration
        if last <= 0:
            last = pts[-1] - pts[-2] if len(pts) > 1 else max(1, round(1 / (25 * self.info.time_base)))
        timeline = Timeline(self.info.time_base, pts, last)
        frames = tuple(replace(facts, pts=tick) for facts, tick in zip(self.frames, pts, strict=True))
        scores = tuple(float(score) for score in cut_scores(self.signatures))
        return FilmIndex(tuple(self.packets), frames, scores, timeline, clock.note)

    def _clock(self) -> Clock:
        rate = self.info.rate_declared
        step = 1 / (rate * self.info.time_base) if rate > 0 else Fraction(0)
        try:
            return mend([self.packets[facts.packet].pts for facts in self.frames], step)
        except ClockError as err:
            raise InputError(
                f"{self.path.name}: {err}; copy it into a sound container first "
                "(ffmpeg -i FILM -map 0 -c copy NEW.mkv)"
            ) from err

    def _note_packet(self, packet: av.Packet) -> None:
        if is_end(packet):
            return
        if packet.is_corrupt:
            raise self._damaged("a corrupt packet")
        facts = PacketFacts(
            packet.pts,
            packet.dts,
            packet.duration or 0,
            packet.is_keyframe,
            packet.size,
            zlib.crc32(bytes(packet)),
        )
        packet.pts = len(self.packets)
        self.packets.append(facts)

    def _note_frame(self, frame: av.VideoFrame) -> None:
        ordinal, number = frame.pts, len(self.frames)
        if ordinal is None or frame.is_corrupt:
            raise self._damaged("a frame that does not decode")
        if (frame.width, frame.height, frame.format.name) != (
            self.info.width,
            self.info.height,
            self.info.pixel_format,
        ):
            raise InputError(
                f"{self.path.name}: the picture changes to {frame.width}x{frame.height} {frame.format.name} "
                f"at frame {number}; split the film there"
            )
        luma, bits = plane_arrays(frame)[0], self.info.layout.bits
        small, before = shrink(luma, bits), self.before
        move = STILL if before is None else move_between(before, small)
        self.before = small
        top_first, lines = self.order.top_first(frame), take_lines(luma, bits)
        fields, self.lines = compare_fields(self.lines, lines, top_first), lines
        signature = sign(luma, bits)
        self.signatures.append(signature)
        self.frames.append(
            FrameFacts(
                ordinal,
                0,  # told by the clock, once all frames are known
                checksum(frame),
                self.packets[ordinal].key,
                signature.mean,
                signature.contrast,
                frame.interlaced_frame,
                move.down,
                move.right,
                top_first,
                *astuple(fields),
            )
        )

    def _damaged(self, what: str) -> InputError:
        return InputError(
            f"{self.path.name}: damaged at frame {len(self.frames)} ({what}); repair or replace the file"
        )

    def _refuse_empty(self) -> None:
        if not self.frames:
            raise InputError(f"{self.path.name}: holds no frame that can be decoded")

    def _refuse_truncated(self, pts: Sequence[int]) -> None:
        found, declared = len(self.frames), self.info.frames_declared
        shown = sum(1 for facts in self.packets if facts.pts is not None)
        if self.info.container == "AVI":
            found = shown = pts[-1] + 1  # AVI counts the places in its table, empty ones too
        if declared and shown < declared and found < declared:
            raise InputError(
                f"{self.path.name}: cut short, {found} of {declared} frames can be read; copy it again"
            )
        seconds = (pts[-1] - pts[0]) * self.info.time_base
        # Sound may outlast the picture; a file that stops in the middle loses both.
        if not declared and self.info.duration_declared and seconds < self.info.duration_declared * 3 / 4 - 1:
            raise InputError(
                f"{self.path.name}: cut short, the picture ends at {float(seconds):.1f} s "
                f"of {float(self.info.duration_declared):.1f} s; copy it again"
            )
