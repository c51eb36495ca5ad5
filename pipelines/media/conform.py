"""Prove a delivery: every frame, every timestamp, every copied packet. Reads both files anew."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av

from pipelines.errors import ConformError
from pipelines.media.encoding import container_of
from pipelines.media.probe import SourceInfo, is_cover, open_source
from pipelines.media.tracks import DROPPED, KEPT, Fate
from pipelines.timeline import Timeline

_MKV_TOLERANCE = Fraction(1, 2000)
"""Matroska counts whole milliseconds."""
_EMPTY_CUE_BYTES = 2
"""mov_text fills the time between cues with samples that hold only their length, zero."""


@dataclass(frozen=True)
class TrackProof:
    """One track of the source, compared packet by packet."""

    index: int
    kind: str
    codec: str
    language: str
    action: str
    reason: str
    packets: int
    payload_equal: bool
    worst_error_seconds: Fraction


@dataclass(frozen=True)
class ConformReport:
    """What was proved about a delivery."""

    frames: int
    worst_error_seconds: Fraction
    """Largest distance of a frame from its time in the source, after the common shift."""
    shift_seconds: Fraction
    """By how much all tracks alike were moved, because a container cannot start below zero."""
    chapters: int
    tracks: tuple[TrackProof, ...]
    tags_missing: tuple[str, ...]


@dataclass
class _Stream:
    """What a demuxing pass saw of one stream."""

    crcs: list[int] = field(default_factory=list)
    stamps: list[Fraction] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)


def conform(
    delivery: Path,
    source: Path,
    info: SourceInfo,
    timeline: Timeline,
    packet_crcs: Sequence[int],
    fates: Sequence[Fate],
) -> ConformReport:
    """Compare with the source; a single frame, time, packet or chapter that differs is a ConformError."""
    made_streams = _scan(delivery)
    picture = made_streams[0]
    if picture.crcs != list(packet_crcs):
        raise ConformError(
            f"{delivery.name}: {len(picture.crcs)} picture packets are not the {len(packet_crcs)} rendered"
        )
    tolerance = Fraction(0) if container_of(delivery.suffix) == "mov/mp4" else _MKV_TOLERANCE
    shown, expected = sorted(picture.stamps), [stamp * timeline.time_base for stamp in timeline.pts]
    shift = _common_shift(shown, expected, tolerance)
    worst = _worst(shown, expected, shift)
    if worst > tolerance:
        raise ConformError(
            f"{delivery.name}: a frame is {float(worst) * 1000:.3f} ms from its time in the source"
        )
    rounds = tolerance or info.container != "mov/mp4"
    tracks = _prove_tracks(
        delivery, source, fates, made_streams, shift, 2 * _MKV_TOLERANCE if rounds else tolerance
    )
    chapters, missing = _prove_head(delivery, source)
    return ConformReport(len(shown), worst, shift, chapters, tracks, missing)


def _scan(path: Path) -> dict[int, _Stream]:
    """Payload checksums and times of every stream, by index."""
    found: dict[int, _Stream] = {}
    with open_source(path) as container:
        for packet in container.demux():
            if packet.pts is None and not (is_cover(packet.stream) and packet.size):
                continue
            seen = found.setdefault(packet.stream.index, _Stream())
            seen.crcs.append(zlib.crc32(_payload(packet)))
            seen.stamps.append((packet.pts or 0) * packet.time_base)
            seen.sizes.append(packet.size)
    return found


def _payload(packet: av.Packet) -> bytes:
    """A packet's bytes, without the ADTS header that AAC wears in transport streams only (ISO 13818-7)."""
    data = bytes(packet)
    adts = len(data) > 9 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0
    if adts and packet.stream.codec_context.name == "aac":
        return data[7:] if data[1] & 1 else data[9:]
    return data


def _common_shift(shown: Sequence[Fraction], expected: Sequence[Fraction], tolerance: Fraction) -> Fraction:
    if len(shown) != len(expected):
        raise ConformError(f"{len(shown)} frames delivered, {len(expected)} in the source")
    shift = shown[0] - expected[0]
    return shift if tolerance and abs(shift) > tolerance else Fraction(0)


def _worst(shown: Sequence[Fraction], expected: Sequence[Fraction], shift: Fraction) -> Fraction:
    return max((abs(a - b - shift) for a, b in zip(shown, expected, strict=True)), default=Fraction(0))


def _prove_tracks(
    delivery: Path,
    source: Path,
    fates: Sequence[Fate],
    made: dict[int, _Stream],
    shift: Fraction,
    tolerance: Fraction,
) -> tuple[TrackProof, ...]:
    original = _scan(source)
    proofs, position = [], 1
    for fate in fates:
        as_stream = _is_stream(fate, delivery)
        before = original.get(fate.track.index, _Stream()) if as_stream else _Stream()
        after = made.get(position, _Stream()) if as_stream else _Stream()
        position += as_stream
        proofs.append(_prove_track(delivery, fate, before, after, shift, tolerance))
    return tuple(proofs)


def _is_stream(fate: Fate, delivery: Path) -> bool:
    """Whether the track is a stream of packets in the delivery, in the order of the fates."""
    if (
        fate.action == DROPPED
        or fate.track.kind == "attachment"
        or fate.track.role in ("chapters", "timecode")
    ):
        return False
    return not (fate.track.role == "cover" and container_of(delivery.suffix) == "matroska/webm")


def _prove_track(
    delivery: Path, fate: Fate, before: _Stream, after: _Stream, shift: Fraction, tolerance: Fraction
) -> TrackProof:
    track = fate.track
    name = f"{delivery.name}: track {track.index} ({track.kind} {track.codec})"
    if fate.action == KEPT and before.crcs != after.crcs:
        raise ConformError(f"{name}: {len(after.crcs)} packets are not the source's {len(before.crcs)}")
    worst = Fraction(0)
    if fate.action == KEPT:
        worst = _worst(after.stamps, before.stamps, shift)
        if worst > tolerance:
            raise ConformError(
                f"{name}: a packet is {float(worst) * 1000:.3f} ms from its time in the source"
            )
    elif fate.track.kind == "subtitle" and fate.action != DROPPED:
        worst = _prove_cues(name, before, after, shift)
    return TrackProof(
        index=track.index,
        kind=track.kind,
        codec=fate.codec or track.codec,
        language=track.language,
        action=fate.action,
        reason=fate.reason,
        packets=len(after.crcs),
        payload_equal=before.crcs == after.crcs,
        worst_error_seconds=worst,
    )


def _prove_cues(name: str, before: _Stream, after: _Stream, shift: Fraction) -> Fraction:
    """Every cue of the source starts at its time; the other form may add empty cues between."""
    starts, worst = sorted(after.stamps), Fraction(0)
    for stamp, size in zip(before.stamps, before.sizes, strict=True):
        if size <= _EMPTY_CUE_BYTES:
            continue
        nearest = min((abs(start - shift - stamp) for start in starts), default=Fraction(1))
        worst = max(worst, nearest)
    if worst > Fraction(1, 500):
        raise ConformError(f"{name}: a converted cue is {float(worst) * 1000:.1f} ms off or missing")
    return worst


def _prove_head(delivery: Path, source: Path) -> tuple[int, tuple[str, ...]]:
    with open_source(delivery) as made, open_source(source) as original:
        wanted, found = _chapter_facts(original), _chapter_facts(made)
        if wanted != found:
            raise ConformError(f"{delivery.name}: {len(found)} chapters are not the source's {len(wanted)}")
        have = {key.lower(): value for key, value in made.metadata.items()}
        own = {"major_brand", "minor_version", "compatible_brands", "encoder"}
        missing = [
            key
            for key, value in original.metadata.items()
            if key.lower() not in own and have.get(key.lower()) != value
        ]
        return len(found), tuple(sorted(missing))


def _chapter_facts(container: av.container.InputContainer) -> list[tuple[int, int, str]]:
    """Start and end in milliseconds and title: what every container can hold."""
    facts = []
    for chapter in container.chapters():
        base = Fraction(chapter["time_base"])
        start, end = (round(chapter[key] * base * 1000) for key in ("start", "end"))
        facts.append((start, end, chapter["metadata"].get("title", "")))
    return facts
