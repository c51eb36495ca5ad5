"""Packets beside the picture that a delivery cannot hold: hidden ones, and what is damaged beyond holding."""

from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av

from pipelines.media.damage import in_order
from pipelines.media.decoding import packets_of
from pipelines.media.encoding import CONTAINERS
from pipelines.media.probe import SourceInfo, open_source

DAMAGED, HIDDEN = "damaged packets", "packets that an edit list hides"
_BROADCAST = ("MPEG-TS", "MPEG-PS")
_ADTS_HEAD_BYTES = 7
_WARM_UP_SECONDS = Fraction(1, 10)
"""Hidden packets so near to shown ones stay: decoders of sound need some to warm up."""

Place = tuple[int, int]
"""Stream, and place in it; packets without a time are not counted."""


def left_out(source: Path, info: SourceInfo, target: Path) -> Mapping[Place, str]:
    """The packets of a source that do not go into a delivery, and why."""
    if info.container in _BROADCAST:
        return dict.fromkeys(_unfit(source, info), DAMAGED)
    if info.container == "mov/mp4" and CONTAINERS.get(target.suffix.lower()) != info.container:
        return dict.fromkeys(_hidden(source), HIDDEN)
    return {}


def _hidden(source: Path) -> set[Place]:
    """Only mp4 can hide sound: elsewhere, what an edit list cuts away would be heard again."""
    times: dict[int, list[tuple[Fraction, Fraction, bool]]] = defaultdict(list)
    with open_source(source) as container:
        for packet in packets_of(container):
            if packet.pts is not None and packet.stream.type == "audio":
                begin, lasts = packet.pts * packet.time_base, (packet.duration or 0) * packet.time_base
                times[packet.stream.index].append((begin, begin + lasts, packet.is_discard))
    return {
        (stream, place)
        for stream, spans in times.items()
        for place, (begin, end, hidden) in enumerate(spans)
        if hidden and _is_far(begin, end, [span for span in spans if not span[2]])
    }


def _is_far(begin: Fraction, end: Fraction, shown: list[tuple[Fraction, Fraction, bool]]) -> bool:
    if not shown:
        return False
    return end < shown[0][0] - _WARM_UP_SECONDS or begin > shown[-1][1] + _WARM_UP_SECONDS


def _unfit(source: Path, info: SourceInfo) -> set[Place]:
    """Packets of a damaged broadcast whose time has passed, and AAC that has lost its head."""
    times: dict[int, list[int]] = defaultdict(list)
    unfit: set[Place] = set()
    with open_source(source) as container:
        for packet in packets_of(container):
            stream = packet.stream.index
            if packet.pts is None or stream == info.video_index:
                continue
            if _headless(packet):
                unfit.add((stream, len(times[stream])))
            times[stream].append(packet.pts if packet.dts is None else packet.dts)
    for stream, stamps in times.items():
        fit = [place for place in range(len(stamps)) if (stream, place) not in unfit]
        risen = {fit[place] for place in in_order([stamps[place] for place in fit])}
        unfit |= {(stream, place) for place in fit if place not in risen}
    return unfit


def _headless(packet: av.Packet) -> bool:
    """Whether an AAC packet lacks the ADTS head that it wears in broadcasts (ISO 13818-7), or belies it."""
    codec = packet.stream.codec_context
    if codec is None or codec.name != "aac":
        return False
    head = bytes(packet)[:_ADTS_HEAD_BYTES]
    if len(head) < _ADTS_HEAD_BYTES or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return True
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size != packet.size or head[2] >> 2 & 15 > 12
