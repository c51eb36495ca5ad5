"""Prove what was carried beside the picture: every packet, cue and chapter is the source's."""

import zlib
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import av

from pipelines.errors import ConformError
from pipelines.excerpt import Window, ends
from pipelines.media.carry import COARSEST_TICK
from pipelines.media.chapters import chapters_for, spans
from pipelines.media.containers import TAGS_OF_FILE, Family, family_named, family_of
from pipelines.media.decoding import packets_of
from pipelines.media.left_out import Place, left_out
from pipelines.media.opening import is_cover, open_source
from pipelines.media.original import Original
from pipelines.media.tracks import DROPPED, KEPT, Fate

_CUE_TOLERANCE = Fraction(1, 500)
_CHAPTER_TOLERANCE = Fraction(1, 1000)
"""mp4 counts its chapters in milliseconds."""
_PRIME = 2**61 - 1
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


@dataclass
class StreamFacts:
    """What a demuxing pass saw of one stream."""

    kind: str = ""
    tick: Fraction = Fraction(0)
    crcs: list[int] = field(default_factory=list)
    stamps: list[Fraction] = field(default_factory=list)
    durations: list[Fraction] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """How many packets do not go into the delivery, by reason."""

    def only(self, chosen: Sequence[int]) -> "StreamFacts":
        """Some of its packets, by place."""
        return replace(
            self,
            crcs=[self.crcs[place] for place in chosen],
            stamps=[self.stamps[place] for place in chosen],
            durations=[self.durations[place] for place in chosen],
            sizes=[self.sizes[place] for place in chosen],
        )


def read_streams(path: Path, unwanted: Mapping[Place, str] = MappingProxyType({})) -> list[StreamFacts]:
    """Payload checksums and times of every stream, by index, but for what is not wanted, and why."""
    places = Counter[int]()
    with open_source(path) as container:
        found = [StreamFacts(stream.type, Fraction(stream.time_base or 0)) for stream in container.streams]
        for packet in packets_of(container):
            if packet.pts is None and not (is_cover(packet.stream) and packet.size):
                continue
            index = packet.stream.index
            seen, place = found[index], places[index]
            places[index] += 1
            if (index, place) in unwanted:
                seen.left_out[unwanted[index, place]] += 1
                continue
            seen.crcs.append(_mark(packet))
            seen.stamps.append((packet.pts or 0) * packet.time_base)
            seen.durations.append((packet.duration or 0) * packet.time_base)
            seen.sizes.append(packet.size)
    return found


def _mark(packet: av.Packet) -> int:
    """What tells a payload from others; where muxers divide as they like, it can be joined."""
    data = _payload(packet)
    joins = _is_pcm(_codec_of(packet))
    return int.from_bytes(data, "big") % _PRIME if joins else zlib.crc32(data)


def _codec_of(packet: av.Packet) -> str:
    """Empty where nothing decodes it, as tracks of data have it."""
    codec = packet.stream.codec_context
    return codec.name if codec else ""


def _is_pcm(codec: str) -> bool:
    return codec.startswith("pcm_")


def _joined(track: StreamFacts) -> StreamFacts:
    """As one packet: mov puts samples into chunks, and takes them out in packets of its own."""
    if not track.crcs:
        return track
    mark = 0
    for each, size in zip(track.crcs, track.sizes, strict=True):
        mark = (mark * pow(256, size, _PRIME) + each) % _PRIME
    length = track.stamps[-1] + track.durations[-1] - track.stamps[0]
    return replace(track, crcs=[mark], stamps=track.stamps[:1], durations=[length], sizes=[sum(track.sizes)])


def _length(track: StreamFacts) -> Fraction:
    return sum(track.durations, Fraction(0))


def _payload(packet: av.Packet) -> bytes:
    """A packet's bytes, without the ADTS header that AAC wears in transport streams only (ISO 13818-7)."""
    data = bytes(packet)
    adts = len(data) > 9 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0
    if adts and _codec_of(packet) == "aac":
        return data[7:] if data[1] & 1 else data[9:]
    return data


def worst_error(shown: Sequence[Fraction], expected: Sequence[Fraction], shift: Fraction) -> Fraction:
    """Largest distance from the expected time, after a shift."""
    return max((abs(a - b - shift) for a, b in zip(shown, expected, strict=True)), default=Fraction(0))


def prove_tracks(
    delivery: Path,
    made: Sequence[StreamFacts],
    original: Original,
    shift: Fraction,
    tolerance: Fraction,
) -> tuple[TrackProof, ...]:
    """Every track against its fate; `made` are the delivery's streams beside its picture."""
    window, left = original.window, deque(made)
    given = read_streams(original.path, left_out(original.path, original.info, delivery))
    proofs = []
    for fate in original.fates:
        before = after = StreamFacts()
        if _is_stream(fate, delivery):
            before = _in_window(given[fate.track.index], fate, window)
            after = _taken(left, fate, before)
        if fate.track.role == "timecode" and fate.action == KEPT and not _has_timecode(delivery):
            fate = replace(fate, action=DROPPED, reason="the container took no timecode")
        # A clock that differs from the source's, as mp4's is the rate of the sound, rounds to its ticks.
        same = window.whole and before.tick == after.tick
        allowed = tolerance if same else tolerance + min(max(before.tick, after.tick), COARSEST_TICK) / 2
        proofs.append(_prove_track(delivery, fate, before, after, shift, allowed))
    return tuple(proofs)


def _taken(left: deque[StreamFacts], fate: Fate, before: StreamFacts) -> StreamFacts:
    """The delivery's next stream; none where the muxer left out a track without packets, as mp4's does."""
    following = _filled(left[0], fate) if left else StreamFacts()
    if not before.crcs and (following.crcs or following.kind != fate.track.kind):
        return StreamFacts()
    if left:
        left.popleft()
    return following


def _has_timecode(delivery: Path) -> bool:
    with open_source(delivery) as made:
        tags = [made.metadata, *(each.metadata for each in made.streams)]
        return any(key.lower() == "timecode" for each in tags for key in each)


def _is_stream(fate: Fate, delivery: Path) -> bool:
    """Whether the track is a stream of packets in the delivery, in the order of the fates."""
    if (
        fate.action == DROPPED
        or fate.track.kind == "attachment"
        or fate.track.role in ("chapters", "timecode")
    ):
        return False
    return not (fate.track.role == "cover" and family_named(delivery.suffix) != Family.MP4)


def _in_window(track: StreamFacts, fate: Fate, window: Window) -> StreamFacts:
    """What of a source's track belongs into the delivery, at the times at which it belongs there."""
    if window.whole or fate.track.role == "cover":
        return _filled(track, fate)
    is_cue = fate.track.kind == "subtitle"
    inside = window.overlaps if is_cue else window.takes
    spans = list(zip(track.stamps, ends(track.stamps, track.durations), strict=True))
    chosen = track.only([place for place, span in enumerate(spans) if inside(*span)])
    moved = [window.cut(*span)[0] if is_cue else span[0] - window.origin for span in spans if inside(*span)]
    chosen.stamps = moved
    return _filled(chosen, fate)


def _filled(track: StreamFacts, fate: Fate) -> StreamFacts:
    """Without the empty samples that stand for no cue in mp4: the muxer adds and ends them as it needs."""
    if "mov_text" not in (fate.track.codec, fate.codec):
        return track
    return track.only([place for place, size in enumerate(track.sizes) if size > _EMPTY_CUE_BYTES])


def _prove_track(
    delivery: Path, fate: Fate, before: StreamFacts, after: StreamFacts, shift: Fraction, tolerance: Fraction
) -> TrackProof:
    track = fate.track
    name = f"{delivery.name}: track {track.index} ({track.kind} {track.codec})"
    packets = len(after.crcs)
    if fate.action == KEPT and _is_pcm(track.codec) and before.crcs != after.crcs:
        before, after = _joined(before), _joined(after)
        if abs(_length(before) - _length(after)) > tolerance:
            raise ConformError(f"{name}: lasts {float(_length(after)):.3f} s, not as long as the source's")
    if fate.action == KEPT and before.crcs != after.crcs:
        raise ConformError(f"{name}: {packets} packets are not the source's {len(before.crcs)}")
    worst = Fraction(0)
    if fate.action == KEPT:
        worst = worst_error(after.stamps, before.stamps, shift)
        if worst > tolerance:
            raise ConformError(
                f"{name}: a packet is {float(worst) * 1000:.3f} ms from its time in the source"
            )
    elif fate.track.kind == "subtitle" and fate.action != DROPPED:
        worst = _prove_cues(name, before, after, shift)
    gone = [f"{count} {why} left out" for why, count in before.left_out.items()]
    return TrackProof(
        index=track.index,
        kind=track.kind,
        codec=fate.codec or track.codec,
        language=track.language,
        action=fate.action,
        reason="; ".join(filter(None, [fate.reason, *gone])),
        packets=packets,
        payload_equal=before.crcs == after.crcs and not before.left_out,
        worst_error_seconds=worst,
    )


def _prove_cues(name: str, before: StreamFacts, after: StreamFacts, shift: Fraction) -> Fraction:
    """Every cue of the source starts at its time; the other form may add empty cues between."""
    starts, worst = sorted(after.stamps), Fraction(0)
    for stamp, size in zip(before.stamps, before.sizes, strict=True):
        if size <= _EMPTY_CUE_BYTES:
            continue
        nearest = min((abs(start - shift - stamp) for start in starts), default=Fraction(1))
        worst = max(worst, nearest)
    if worst > _CUE_TOLERANCE:
        raise ConformError(f"{name}: a converted cue is {float(worst) * 1000:.1f} ms off or missing")
    return worst


def prove_head(delivery: Path, original: Original) -> tuple[int, tuple[str, ...]]:
    """How many chapters were proved, and which of the source's tags the delivery does not hold."""
    window = original.window
    with open_source(delivery) as made, open_source(original.path) as source:
        wanted = spans(chapters_for(source.chapters(), window, family_of(made)))
        found = spans(made.chapters())
        if family_of(made) == Family.MP4 and wanted and len(found) == len(wanted):
            # Where no chapter has a name, mp4 notes only where they begin.
            wanted[-1] = (wanted[-1][0], found[-1][1], wanted[-1][2])
        same = len(wanted) == len(found) and all(
            title == name and max(abs(begin - start), abs(end - stop)) <= _CHAPTER_TOLERANCE
            for (begin, end, title), (start, stop, name) in zip(wanted, found, strict=True)
        )
        if not same:
            raise ConformError(f"{delivery.name}: {len(found)} chapters are not the source's {len(wanted)}")
        have = {key.lower(): value for key, value in made.metadata.items()}
        own = TAGS_OF_FILE | ({"timecode"} if window.first_frame else set())
        missing = [
            key
            for key, value in source.metadata.items()
            if key.lower() not in own and have.get(key.lower()) != value
        ]
        return len(found), tuple(sorted(missing))
