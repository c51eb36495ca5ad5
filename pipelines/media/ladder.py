"""Reach any range of frames and prove each against the index. Runs in a child process.

Seeking alone lies in many files: open GOPs, intra refresh, concealment, decoders whose workarounds depend
on the first packet. So a range is decoded from the key frame before it, every frame is compared with its
checksum, and on the first miss the ladder steps further back, in the end to the start of the film.
"""

import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipelines.errors import InputError
from pipelines.media.child import Message, limit_memory
from pipelines.media.containers import Family
from pipelines.media.decoding import checksum, frames_of, is_end, packets_of
from pipelines.media.deinterlace import FrameWindow, make_pictures, split_fields
from pipelines.media.fields import Picture
from pipelines.media.layouts import plane_arrays
from pipelines.media.opening import configure, open_source
from pipelines.media.source_info import SourceInfo
from pipelines.timeline import FrameRange

NOWHERE = -(2**63)
"""Stands for the time of a packet that has none: it cannot be sought."""
FRAME_HEAD = struct.Struct("<q")
_LANDING_TRIES = 64


@dataclass(frozen=True)
class Proofs:
    """What reading needs of an index, in arrays: of packets by ordinal, of frames by number."""

    packet_times: NDArray[np.int64]
    """What to seek by."""
    packet_crcs: NDArray[np.int64]
    packet_sizes: NDArray[np.int64]
    keys: NDArray[np.int64]
    """Ordinals of the key packets."""
    frame_packets: NDArray[np.int64]
    frame_crcs: NDArray[np.int64]
    top_first: NDArray[np.bool_]
    single_threaded: bool


class _Missed(Exception):
    """This way of reaching the frames did not give the frames of the index."""


@dataclass(frozen=True, slots=True)
class _Rung:
    """One way to reach a frame: seek to key packet `key` and decode, or decode from the start."""

    key: int
    seek: bool


@dataclass(frozen=True)
class Run:
    """Frames that are read in one go: the stored ones, and what is made of them, by number, ascending."""

    stored: FrameRange
    chosen: Sequence[tuple[int, Picture]]


def send_frames(path: Path, info: SourceInfo, proofs: Proofs, runs: Sequence[Run]) -> Iterator[Message]:
    """Frames of several runs, each as its number and its planes without padding."""
    limit_memory(info.picture_bytes)
    ladder = Ladder(path, info, proofs)
    for run in runs:
        window = FrameWindow(run.stored.start, ladder.read(run.stored))
        made = make_pictures([picture for _, picture in run.chosen], window, proofs.top_first)
        for (number, _), frame in zip(run.chosen, made, strict=True):
            yield [FRAME_HEAD.pack(number), *_planes(frame)]


def send_fields(path: Path, info: SourceInfo, proofs: Proofs, run: Run) -> Iterator[Message]:
    """Frames of a run, each as its number and the planes of two pictures: of its top and its bottom field."""
    limit_memory(info.picture_bytes)
    window = FrameWindow(run.stored.start, Ladder(path, info, proofs).read(run.stored))
    numbers = [number for number, _ in run.chosen]
    for number, (top, bottom) in zip(numbers, split_fields(numbers, window, proofs.top_first), strict=True):
        yield [FRAME_HEAD.pack(number), *_planes(top), *_planes(bottom)]


def _planes(frame: av.VideoFrame) -> Iterator[memoryview]:
    return (np.ascontiguousarray(view).data.cast("B") for view in plane_arrays(frame))


class Ladder:
    """Proven stored frames of one film."""

    def __init__(self, path: Path, info: SourceInfo, proofs: Proofs) -> None:
        self.path = path
        self.info = info
        self.proofs = proofs
        self._keys = proofs.keys.tolist() or [0]
        self._frame_of_packet = np.full(len(proofs.packet_crcs), -1)
        self._frame_of_packet[proofs.frame_packets] = np.arange(len(proofs.frame_packets))
        self._prints = _print_of(proofs.packet_crcs, proofs.packet_sizes)

    def read(self, frames: FrameRange) -> Iterator[av.VideoFrame]:
        """The frames as they are stored, in order, each proved, its number as `pts`."""
        position = frames.start
        for rung in self._ladder(frames.start):
            try:
                for frame in self._climb(rung, FrameRange(position, frames.stop)):
                    yield frame
                    position += 1
            except (_Missed, av.FFmpegError):
                continue
            if position == frames.stop:
                return
        raise InputError(
            f"{self.path.name}: frame {position} is not the frame that was indexed; "
            "the file changed or is damaged: start again in a new work folder"
        )

    def _key_before(self, frame: int) -> int:
        """Position in `_keys` of the last key packet shown at or before a frame."""
        place = bisect_right(self._keys, self.proofs.frame_packets[frame]) - 1
        while place > 0 and not 0 <= self._frame_of_packet[self._keys[place]] <= frame:
            place -= 1
        return max(place, 0)

    def _ladder(self, frame: int) -> list[_Rung]:
        place = self._key_before(frame)
        keys = [self._keys[place - back] for back in range(3) if place - back > 0]
        return [
            *(_Rung(key, True) for key in keys if self.proofs.packet_times[key] != NOWHERE),
            _Rung(0, False),
        ]

    def _climb(self, rung: _Rung, frames: FrameRange) -> Iterator[av.VideoFrame]:
        expected = frames.start
        with open_source(self.path) as container:
            stream = container.streams[self.info.video_index]
            configure(stream, self.proofs.single_threaded)
            for packet in self._packets(container, stream, rung):
                for frame in frames_of(packet) or []:
                    number = self._number(frame)
                    if number < expected:
                        continue
                    if number != expected or checksum(frame) != self.proofs.frame_crcs[number]:
                        raise _Missed
                    frame.pts = number
                    yield frame
                    expected += 1
                    if expected == frames.stop:
                        return
        raise _Missed

    def _number(self, frame: av.VideoFrame) -> int:
        """The film-wide number of a frame; -1 if it is none of the film's, as the index saw it."""
        form = frame.width, frame.height, frame.format.name
        if frame.pts is None or form != (self.info.width, self.info.height, self.info.stored_format):
            return -1
        return int(self._frame_of_packet[frame.pts])

    def _packets(
        self, container: av.container.InputContainer, stream: av.video.stream.VideoStream, rung: _Rung
    ) -> Iterator[av.Packet]:
        """Packets from the rung's key on, each with its ordinal as `pts`."""
        ordinal: int | None = 0
        if rung.seek:
            self._prime(container, stream)
            container.seek(int(self.proofs.packet_times[rung.key]), stream=stream, backward=True)
            ordinal = None
        tries = 0
        for packet in packets_of(container, stream):
            if is_end(packet):
                yield packet
                continue
            if ordinal is None:
                ordinal = self._landing(packet)
                tries += 1
                if ordinal is None and tries < _LANDING_TRIES:
                    continue
                if ordinal is None or ordinal > rung.key:
                    raise _Missed
            number, ordinal = ordinal, ordinal + 1
            if number >= rung.key:
                packet.pts = number
                yield packet

    def _landing(self, packet: av.Packet) -> int | None:
        """The ordinal of a packet by what is in it; of several that are alike, as in loops, by its time."""
        wanted = _print_of(np.array([zlib.crc32(bytes(packet))]), np.array([packet.size]))[0]
        (alike,) = np.nonzero(self._prints == wanted)
        if len(alike) > 1:
            by_pts = self.info.container == Family.MP4 or packet.dts is None
            alike = alike[self.proofs.packet_times[alike] == (packet.pts if by_pts else packet.dts)]
        return int(alike[0]) if len(alike) == 1 else None

    def _prime(self, container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> None:
        """Show the decoder packet 0: old x264 puts there what its decoder workarounds depend on."""
        with suppress(av.FFmpegError, StopIteration):
            next(container.demux(stream)).decode()
        stream.codec_context.flush_buffers()


def _print_of(crcs: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.uint64]:
    return crcs.astype(np.uint64) << np.uint64(32) | sizes.astype(np.uint64) & np.uint64(0xFFFFFFFF)
