"""Packets beside the picture that a delivery cannot hold: hidden ones, and what is damaged beyond holding."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Discard

from pipelines.media.containers import BROADCAST, Family, family_named
from pipelines.media.damage import in_order
from pipelines.media.decoding import packets_of
from pipelines.media.opening import open_source
from pipelines.media.source_info import SourceInfo

DAMAGED, HIDDEN = "damaged packets", "packets that an edit list hides"
_ADTS_HEAD_BYTES = 7
_WARM_UP_SECONDS = Fraction(1, 10)
"""Hidden packets so near to shown ones stay: decoders of sound need some to warm up."""

Place = tuple[int, int]
"""Stream, and place in it; packets without a time are not counted."""
Span = tuple[Fraction, Fraction, bool]
"""When a packet begins and ends, and whether an edit list hides it."""


def left_out(source: Path, info: SourceInfo, target: Path) -> Mapping[Place, str]:
    """The packets of a source that do not go into a delivery, and why."""
    if info.container in BROADCAST:
        return dict.fromkeys(_unfit(source, info), DAMAGED)
    if info.container == Family.MP4:
        hides = family_named(target.suffix) == info.container
        return dict.fromkeys(_hidden(source, hides), HIDDEN)
    return {}


def _hidden(source: Path, hides: bool) -> set[Place]:
    """Sound that an edit list cuts out of the middle; at the ends too, unless the delivery hides it there."""
    times: dict[int, list[Span]] = defaultdict(list)
    with open_source(source) as container:
        for stream in container.streams:
            if stream.type != "audio":
                stream.discard = Discard.all  # not even read
        for packet in packets_of(container):
            if packet.pts is not None and packet.stream.type == "audio":
                begin, lasts = packet.pts * packet.time_base, (packet.duration or 0) * packet.time_base
                times[packet.stream.index].append((begin, begin + lasts, packet.is_discard))
    return {(stream, place) for stream, spans in times.items() for place in _cut_away(spans, hides)}


def _cut_away(spans: Sequence[Span], hides: bool) -> Iterator[int]:
    """Only mp4 can hide sound, and ours at the ends alone: in the middle, libavformat lets its times fall."""
    shown = [place for place, (_, _, hidden) in enumerate(spans) if not hidden]
    if not shown:
        return
    opens, closes = spans[shown[0]][0] - _WARM_UP_SECONDS, spans[shown[-1]][1] + _WARM_UP_SECONDS
    for place, (begin, end, hidden) in enumerate(spans):
        far = end < opens or begin > closes
        if hidden and (shown[0] < place < shown[-1] or (far and not hides)):
            yield place


def _unfit(source: Path, info: SourceInfo) -> set[Place]:
    """Packets of a damaged broadcast whose time has passed, and AAC that has lost its head."""
    times: dict[int, list[int]] = defaultdict(list)
    unfit: set[Place] = set()
    with open_source(source) as container:
        for packet in packets_of(container):
            stream = packet.stream.index
            if packet.pts is None or stream == info.video_index:
                continue
            if headless(packet):
                unfit.add((stream, len(times[stream])))
            times[stream].append(packet.pts if packet.dts is None else packet.dts)
    for stream, stamps in times.items():
        fit = [place for place in range(len(stamps)) if (stream, place) not in unfit]
        risen = {fit[place] for place in in_order([stamps[place] for place in fit])}
        unfit |= {(stream, place) for place in fit if place not in risen}
    return unfit


def headless(packet: av.Packet) -> bool:
    """Whether an AAC packet lacks the ADTS head that it wears in broadcasts (ISO 13818-7), or belies it."""
    codec = packet.stream.codec_context
    if codec is None or codec.name != "aac":
        return False
    head = bytes(packet)[:_ADTS_HEAD_BYTES]
    if len(head) < _ADTS_HEAD_BYTES or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return True
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size != packet.size or head[2] >> 2 & 15 > 12
