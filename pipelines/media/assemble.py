"""Join parts packet by packet onto the source's timestamps, beside everything else of the source."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Stream

from pipelines.errors import AssemblyError
from pipelines.media.carry import Timed, carry_tracks, copy_head, copy_stream, mux, open_target
from pipelines.media.opening import declared_rates, open_source
from pipelines.media.original import Original
from pipelines.media.parts import parameter_sets, read_part
from pipelines.media.rates import counting_rate, nominal_rate
from pipelines.timecode import counted_at
from pipelines.timeline import FrameRange, Timeline


@dataclass(frozen=True)
class PartFile:
    """A finished part on this machine, the delivery's frames it shows and how far they are reordered."""

    path: Path
    frames: FrameRange
    reorder: int


def assemble(parts: Sequence[PartFile], original: Original, target: Path) -> None:
    """Write the delivery to `target`: picture from the parts, all else from the source."""
    timeline, info = original.timeline, original.info
    _refuse_mismatch(parts, timeline)
    with ExitStack() as stack:
        source = stack.enter_context(open_source(original.path))
        described = stack.enter_context(av.open(str(parts[0].path)))
        out = stack.enter_context(open_target(target, original.fates))
        filmed = source.streams[info.video_index]
        picture = copy_stream(out, described.streams.video[0], filmed, original.window)
        picture.time_base = timeline.time_base
        if info.display_matrix:
            picture.set_display_matrix(info.display_matrix)
        others = carry_tracks(stack, out, source, original, target)
        copy_head(out, source, filmed, original.window)
        rate = nominal_rate(timeline.mean_rate)
        for tags in (picture.metadata, out.metadata):
            if "timecode" in tags:
                known = declared_rates(filmed)
                rate = counting_rate(timeline.mean_rate, *known)
                tags["timecode"] = counted_at(tags["timecode"], counting_rate(*known, rate), rate)
        # A timecode track counts in frames, and a stream of ProRes or FFV1 does not tell their rate.
        picture.codec_context.framerate = rate
        mux(out, [_picture_packets(parts, timeline, picture), *others])


def _refuse_mismatch(parts: Sequence[PartFile], timeline: Timeline) -> None:
    expected = 0
    for part in parts:
        if part.frames.start != expected:
            raise AssemblyError(f"parts leave a gap: frame {expected} expected, {part.frames.start} found")
        expected = part.frames.stop
    if expected != len(timeline):
        raise AssemblyError(f"parts hold {expected} frames, the film has {len(timeline)}")
    sets = {parameter_sets(part.path) for part in parts}
    if len(sets) > 1:
        raise AssemblyError(f"parts were encoded with {len(sets)} different settings; render them again")


def _picture_packets(parts: Sequence[PartFile], timeline: Timeline, stream: Stream) -> Iterator[Timed]:
    """Packets on the source's clock: pts from the timeline, dts from the pts `delay` pictures earlier."""
    delay = max(part.reorder for part in parts)
    step = timeline.duration_ticks(0)
    order = 0
    for part in parts:
        for item in read_part(part.path, part.frames.start, len(part.frames)):
            packet = item.payload
            packet.pts = timeline.pts[item.frame]
            earlier = order - delay
            packet.dts = timeline.pts[earlier] if earlier >= 0 else timeline.pts[0] + earlier * step
            packet.duration = timeline.duration_ticks(item.frame)
            packet.time_base = Fraction(timeline.time_base)
            packet.stream = stream
            yield float(packet.dts * timeline.time_base), 0, packet
            order += 1
