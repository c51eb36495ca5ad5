"""Join parts packet by packet onto the source's timestamps, beside everything else of the source."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Stream

from pipelines.errors import AssemblyError
from pipelines.excerpt import WHOLE, Window
from pipelines.media.carry import Timed, carry_tracks, copy_head, copy_stream, mux, open_target
from pipelines.media.opening import declared_rates, open_source
from pipelines.media.parts import parameter_sets, read_part
from pipelines.media.rates import counting_rate, nominal_rate
from pipelines.media.source_info import SourceInfo
from pipelines.media.tracks import Fate
from pipelines.timecode import counted_at
from pipelines.timeline import FrameRange, Timeline


@dataclass(frozen=True)
class PartFile:
    """A finished part on this machine, the delivery's frames it shows and how far they are reordered."""

    path: Path
    frames: FrameRange
    reorder: int


def assemble(
    parts: Sequence[PartFile],
    timeline: Timeline,
    source: Path,
    info: SourceInfo,
    fates: Sequence[Fate],
    target: Path,
    window: Window = WHOLE,
) -> None:
    """Write the delivery to `target`: picture from the parts, all else from the source.

    For an excerpt the timeline is that of its frames, and the window says what else goes with them.
    """
    _refuse_mismatch(parts, timeline)
    with ExitStack() as stack:
        original = stack.enter_context(open_source(source))
        described = stack.enter_context(av.open(str(parts[0].path)))
        out = stack.enter_context(open_target(target, fates))
        filmed = original.streams[info.video_index]
        picture = copy_stream(out, described.streams.video[0], filmed, window)
        picture.time_base = timeline.time_base
        if info.display_matrix:
            picture.set_display_matrix(info.display_matrix)
        others = carry_tracks(stack, out, original, info, fates, window, target)
        copy_head(out, original, filmed, window)
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
