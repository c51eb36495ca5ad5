"""A rehearsal of what goes along: whether a container's writer takes each track, before anything is painted.

Tables of codecs do not tell: a writer may know a codec and refuse it at the head, or at the first packet.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream

from pipelines.media.carry import copy_stream, writer_options
from pipelines.media.child import Message, limit_memory, read_in_child
from pipelines.media.containers import BROADCAST, writer_of
from pipelines.media.decoding import packets_of, stamp
from pipelines.media.left_out import headless
from pipelines.media.opening import open_source
from pipelines.media.source_info import SourceInfo
from pipelines.media.tracks import KEPT, Fate

_KINDS = ("audio", "video", "subtitle")
_READ_PACKETS = 2_000
"""Of all tracks: sound and pictures begin with the film, or nearly so; of subtitles the head is tried."""
_TRIED_PACKETS = 3


def refused_tracks(source: Path, info: SourceInfo, fates: Sequence[Fate], suffix: str) -> dict[int, str]:
    """By their index, the tracks that cannot be copied into such a file although a table says so, and why."""
    copied = [
        fate for fate in fates if fate.action == KEPT and fate.track.kind in _KINDS and not fate.track.role
    ]
    if not copied:
        return {}
    told = read_in_child(source.name, _refusals, source, info, copied, suffix)
    return {index: reason for message in told for index, reason in json.loads(bytes(message[0]))}


def _refusals(source: Path, info: SourceInfo, fates: Sequence[Fate], suffix: str) -> Iterator[Message]:
    """In a child: indices and reasons."""
    limit_memory(info.picture_bytes)
    refused: list[tuple[int, str]] = []
    with open_source(source) as film:
        packets = _first_packets(film, info, fates)
        for fate in fates:
            index = fate.track.index
            try:
                _rehearse(film.streams[index], packets[index], fate, suffix)
            except MemoryError:
                raise
            except av.FFmpegError as err:
                refused.append((index, f"{suffix[1:]} does not take this {fate.codec} ({err.strerror})"))
    yield [json.dumps(refused).encode()]


def _first_packets(
    film: InputContainer, info: SourceInfo, fates: Sequence[Fate]
) -> dict[int, list[av.Packet]]:
    """Of each track the first that would be carried: of a damaged broadcast, not all are.

    Subtitles may begin late: nobody waits for theirs.
    """
    wanted = {fate.track.index for fate in fates}
    awaited = {fate.track.index for fate in fates if fate.track.kind != "subtitle"}
    found: dict[int, list[av.Packet]] = defaultdict(list)
    for packet in islice(packets_of(film), _READ_PACKETS):
        mine = found[packet.stream.index]
        if packet.stream.index in wanted and len(mine) < _TRIED_PACKETS and _fits(packet, mine, info):
            mine.append(packet)
        if all(len(found[index]) == _TRIED_PACKETS for index in awaited):
            break
    return found


def _fits(packet: av.Packet, before: Sequence[av.Packet], info: SourceInfo) -> bool:
    time = stamp(packet)
    if time is None or info.container not in BROADCAST:
        return time is not None
    last = stamp(before[-1]) if before else None
    return not headless(packet) and (last is None or time > last)


def _rehearse(stream: Stream, packets: Sequence[av.Packet], fate: Fate, suffix: str) -> None:
    """Write the track's head and its first packets, alone, into memory: no disk has a say in it."""
    options = writer_options(suffix, [fate])
    with av.open(BytesIO(), "w", format=writer_of(suffix), container_options=options) as out:
        copied = copy_stream(out, stream, stream)
        out.start_encoding()
        for packet in packets:
            packet.stream = copied
            out.mux(packet)
