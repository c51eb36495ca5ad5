"""Packets of a damaged broadcast that no file can hold: their time has passed, or AAC has lost its head."""

from collections import defaultdict
from pathlib import Path

import av

from pipelines.media.damage import in_order
from pipelines.media.decoding import packets_of
from pipelines.media.probe import SourceInfo, open_source

_BROADCAST = ("MPEG-TS", "MPEG-PS")
_ADTS_HEAD_BYTES = 7


def unfit_packets(source: Path, info: SourceInfo) -> frozenset[tuple[int, int]]:
    """Beside the picture, by stream and place in it; packets without a time are not counted."""
    if info.container not in _BROADCAST:
        return frozenset()
    times: dict[int, list[int]] = defaultdict(list)
    unfit: set[tuple[int, int]] = set()
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
    return frozenset(unfit)


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
