"""Read any range of frames and prove each against the index.

Seeking alone lies in many files: open GOPs, intra refresh, concealment, decoders whose workarounds depend
on the first packet. So a range is decoded from the key frame before it, every frame is compared with its
checksum, and on the first miss the reader steps further back, in the end to the start of the film.
"""

import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av

from pipelines.errors import InputError
from pipelines.media.deinterlace import Window, make_pictures, split_fields
from pipelines.media.index import FilmIndex, checksum, is_end
from pipelines.media.probe import SourceInfo, configure, open_source
from pipelines.media.scan import needed
from pipelines.timeline import FrameRange

_LANDING_TRIES = 64


class _Missed(Exception):
    """This way of reaching the frames did not give the frames of the index."""


@dataclass(frozen=True, slots=True)
class _Rung:
    """One way to reach a frame: seek to key packet `key` and decode, or decode from the start."""

    key: int
    seek: bool


class FrameReader:
    """Proven frames of one film; every call opens the file anew, so a reader can be shared by threads."""

    def __init__(self, path: Path, info: SourceInfo, index: FilmIndex) -> None:
        self.path = path
        self.info = info
        self.index = index
        self._stored = index.stored or index
        self._keys = [ordinal for ordinal, facts in enumerate(index.packets) if facts.key] or [0]
        self._frame_of_packet = {facts.packet: frame for frame, facts in enumerate(self._stored.frames)}
        self._top_first = [facts.top_first for facts in self._stored.frames]
        self._landings = _unique_landings(index)

    def read(self, frames: FrameRange) -> Iterator[av.VideoFrame]:
        """The frames of the range as the index has them, in order, their film-wide numbers as `pts`."""
        if self.index.stored is None:
            yield from self._read_stored(frames)
            return
        pictures = self.index.pictures[frames.start : frames.stop]
        made = make_pictures(pictures, self._window(frames), self._top_first)
        for number, frame in zip(frames, made, strict=True):
            frame.pts = number
            yield frame

    def read_fields(self, frames: FrameRange) -> Iterator[tuple[av.VideoFrame, av.VideoFrame]]:
        """Each frame as two whole pictures: at the moment of its top field, and of its bottom field."""
        return split_fields(frames, self._window(frames), self._top_first)

    def _window(self, frames: FrameRange) -> Window:
        stored = needed(self.index, frames)
        return Window(stored.start, self._read_stored(stored))

    def _read_stored(self, frames: FrameRange) -> Iterator[av.VideoFrame]:
        """The frames as they are stored, each proved."""
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

    def pick(self, wanted: Sequence[int]) -> Iterator[av.VideoFrame]:
        """Some frames, ascending; those of one group of pictures are decoded in one go."""
        groups: list[list[int]] = []
        for frame in wanted:
            if groups and self._group(frame) == self._group(groups[-1][0]):
                groups[-1].append(frame)
            else:
                groups.append([frame])
        for group in groups:
            for frame in self.read(FrameRange(group[0], group[-1] + 1)):
                if frame.pts in group:
                    yield frame

    def _group(self, frame: int) -> int:
        """Where reading has to begin for a frame."""
        return self._key_before(needed(self.index, FrameRange(frame, frame + 1)).start)

    def _key_before(self, frame: int) -> int:
        """Position in `_keys` of the last key packet shown at or before a stored frame."""
        place = bisect_right(self._keys, self._stored.frames[frame].packet) - 1
        while place > 0 and self._frame_of_packet.get(self._keys[place], frame) > frame:
            place -= 1
        return max(place, 0)

    def _ladder(self, frame: int) -> list[_Rung]:
        place = self._key_before(frame)
        rungs = [_Rung(self._keys[place - back], True) for back in range(3) if place - back > 0]
        return [*rungs, _Rung(0, False)]

    def _climb(self, rung: _Rung, frames: FrameRange) -> Iterator[av.VideoFrame]:
        expected = frames.start
        with open_source(self.path) as container:
            stream = container.streams[self.info.video_index]
            configure(stream)
            for packet in self._packets(container, stream, rung):
                for frame in packet.decode():
                    number = self._frame_of_packet.get(frame.pts, -1)
                    if number < expected:
                        continue
                    if number != expected or checksum(frame) != self._stored.frames[number].crc:
                        raise _Missed
                    frame.pts = number
                    yield frame
                    expected += 1
                    if expected == frames.stop:
                        return
        raise _Missed

    def _packets(
        self, container: av.container.InputContainer, stream: av.video.stream.VideoStream, rung: _Rung
    ) -> Iterator[av.Packet]:
        """Packets from the rung's key on, each with its ordinal as `pts`."""
        ordinal: int | None = 0
        if rung.seek:
            self._prime(container, stream)
            facts = self.index.packets[rung.key]
            by_pts = container.format.name.startswith("mov") or facts.dts is None
            container.seek(facts.pts if by_pts else facts.dts, stream=stream, backward=True)
            ordinal = None
        tries = 0
        for packet in container.demux(stream):
            if is_end(packet):
                yield packet
                continue
            if ordinal is None:
                ordinal = self._landings.get((zlib.crc32(bytes(packet)), packet.size))
                tries += 1
                if ordinal is None and tries < _LANDING_TRIES:
                    continue
                if ordinal is None or ordinal > rung.key:
                    raise _Missed
            number, ordinal = ordinal, ordinal + 1
            if number >= rung.key:
                packet.pts = number
                yield packet

    def _prime(self, container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> None:
        """Show the decoder packet 0: old x264 puts there what its decoder workarounds depend on."""
        with suppress(av.FFmpegError):
            next(container.demux(stream)).decode()
        stream.codec_context.flush_buffers()


def _unique_landings(index: FilmIndex) -> dict[tuple[int, int], int]:
    """Packet (crc, size) -> ordinal, for packets that no other packet equals."""
    found: dict[tuple[int, int], int] = {}
    twice: set[tuple[int, int]] = set()
    for ordinal, facts in enumerate(index.packets):
        key = (facts.crc, facts.size)
        if key in found:
            twice.add(key)
        found[key] = ordinal
    return {key: ordinal for key, ordinal in found.items() if key not in twice}
