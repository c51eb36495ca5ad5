"""Demux and decode packet by packet, and go on after errors."""

import zlib
from collections.abc import Iterator

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from pipelines.media.child import alive
from pipelines.media.layouts import plane_arrays

_COMPLAINTS = 100
"""A demuxer that fails so often in a row has nothing more to give."""


def checksum(frame: av.VideoFrame) -> int:
    """CRC-32 of the visible pixels, plane after plane."""
    crc = 0
    for view in plane_arrays(frame):
        crc = zlib.crc32(np.ascontiguousarray(view).data, crc)
    return crc


def is_end(packet: av.Packet) -> bool:
    """Whether this is the empty packet with which demuxing ends."""
    return packet.size == 0 and packet.pts is None and packet.dts is None


def stamp(packet: av.Packet) -> int | None:
    """When it is decoded, or else shown, in its ticks."""
    return packet.dts if packet.dts is not None else packet.pts


def packets_of(container: InputContainer, *streams: VideoStream) -> Iterator[av.Packet]:
    """Packets of these streams (of all, if none is named) and the empty ones at the end.

    A demuxer that stumbles is asked to go on.
    """
    packets, complaints = container.demux(*streams), 0
    while complaints < _COMPLAINTS:
        try:
            alive()
            yield next(packets)
            complaints = 0
        except StopIteration:
            return
        except av.FFmpegError:
            packets, complaints = container.demux(*streams), complaints + 1


def frames_of(packet: av.Packet) -> list[av.VideoFrame] | None:
    """The frames that come out as this packet goes in; None when it cannot be decoded."""
    try:
        return packet.decode()
    except av.FFmpegError:
        return None
