"""Join parts packet by packet onto the source's timestamps, and copy everything else across once."""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from pipelines.errors import AssemblyError
from pipelines.media.encoding import container_of
from pipelines.media.ffmpeg import convert_subtitle_graph, run
from pipelines.media.parts import parameter_sets, read_part
from pipelines.media.probe import SourceInfo, is_cover, open_source
from pipelines.media.tracks import CONVERTED, DROPPED, Fate
from pipelines.timeline import FrameRange, Timeline

# Written by the muxer itself, or true only of the source's own file.
_CONTAINER_TAGS_OF_FILE = {"major_brand", "minor_version", "compatible_brands", "encoder", "ENCODER"}
_STREAM_TAGS_OF_FILE = {
    "encoder",
    "ENCODER",
    "DURATION",
    "BPS",
    "NUMBER_OF_FRAMES",
    "NUMBER_OF_BYTES",
    "_STATISTICS_WRITING_APP",
    "_STATISTICS_WRITING_DATE_UTC",
    "_STATISTICS_TAGS",
}
_SUBTITLE_TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class PartFile:
    """A finished part on this machine, the frames it shows and how far they are reordered."""

    path: Path
    frames: FrameRange
    reorder: int


_Timed = tuple[float, int, av.Packet]


def assemble(
    parts: Sequence[PartFile],
    timeline: Timeline,
    source: Path,
    info: SourceInfo,
    fates: Sequence[Fate],
    target: Path,
) -> None:
    """Write the delivery to `target`: picture from the parts, all else from the source."""
    _refuse_mismatch(parts, timeline)
    with ExitStack() as stack:
        original = stack.enter_context(open_source(source))
        described = stack.enter_context(av.open(str(parts[0].path)))
        covered = any(fate.track.role == "cover" and fate.action != DROPPED for fate in fates)
        out = stack.enter_context(_open_target(target, covered))
        picture = _add_picture(out, described, original.streams[info.video_index], timeline)
        if info.display_matrix:
            picture.set_display_matrix(info.display_matrix)
        streams: dict[int, Stream] = {}
        feeds: list[Iterator[_Timed]] = [_picture_packets(parts, timeline, picture)]
        for fate in fates:
            if fate.action == CONVERTED and fate.track.kind == "subtitle":
                converted = stack.enter_context(_converted_subtitle(source, fate, target))
                made = _copy_stream(out, converted.streams[0], original.streams[fate.track.index])
                feeds.append(_source_packets(converted, {0: made}))
            elif fate.action != DROPPED:
                _add_track(out, original, fate, streams)
        _copy_head(out, original)
        feeds.append(_source_packets(original, streams))
        for _, _, packet in heapq.merge(*feeds, key=lambda item: item[:2]):
            out.mux(packet)


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


def _open_target(target: Path, covered: bool) -> OutputContainer:
    options = {"fflags": "+bitexact"}
    if container_of(target.suffix) == "mov/mp4":
        # The default movie clock of 1 ms would round every track's start; the bit rate noted in btrt is
        # the first part's, and would differ with the shard plan.
        # Tags of any name and a cover are two forms of one box, and ffmpeg writes one of them.
        options |= {
            "movie_timescale": "720000",
            "movflags": "+faststart" + ("" if covered else "+use_metadata_tags"),
            "write_btrt": "0",
        }
    return av.open(str(target), "w", container_options=options)


def _add_picture(
    out: OutputContainer, described: InputContainer, original: Stream, timeline: Timeline
) -> Stream:
    # Opaque: copied by what the part says, since for AV1 the decoder's name is not an encoder's.
    stream = out.add_stream_from_template(described.streams.video[0], opaque=True)
    stream.time_base = timeline.time_base
    if stream.codec_context.name in ("hevc", "libx265") and "mp4" in out.format.name:
        stream.codec_context.codec_tag = "hvc1"
    _copy_tags(stream, original)
    return stream


def _copy_stream(out: OutputContainer, template: Stream, tagged: Stream) -> Stream:
    stream = out.add_stream_from_template(template)
    stream.time_base = template.time_base
    _copy_tags(stream, tagged)
    return stream


def _copy_tags(stream: Stream, original: Stream) -> None:
    stream.metadata.update(
        {key: value for key, value in original.metadata.items() if key not in _STREAM_TAGS_OF_FILE}
    )
    stream.disposition = original.disposition


def _add_track(
    out: OutputContainer, original: InputContainer, fate: Fate, streams: dict[int, Stream]
) -> None:
    """A kept track: copied as a stream, or rebuilt as an attachment, or made by the muxer from tags."""
    track, stream = fate.track, original.streams[fate.track.index]
    if track.role in ("chapters", "timecode"):
        return
    if track.kind == "attachment":
        out.add_attachment(stream.name or "attachment", stream.mimetype or "", stream.data)
    elif track.role == "cover" and "matroska" in out.format.name:
        name = stream.metadata.get("filename", "cover.png" if track.codec == "png" else "cover.jpg")
        kind = "image/png" if track.codec == "png" else "image/jpeg"
        out.add_attachment(name, stream.metadata.get("mimetype", kind), _cover_bytes(original, track.index))
    else:
        streams[track.index] = _copy_stream(out, stream, stream)


def _cover_bytes(original: InputContainer, index: int) -> bytes:
    with av.open(original.name) as again:
        return next(bytes(packet) for packet in again.demux(again.streams[index]) if packet.size)


def _copy_head(out: OutputContainer, original: InputContainer) -> None:
    out.metadata.update(
        {key: value for key, value in original.metadata.items() if key not in _CONTAINER_TAGS_OF_FILE}
    )
    if original.chapters():
        out.set_chapters(original.chapters())


def _converted_subtitle(source: Path, fate: Fate, target: Path) -> InputContainer:
    suffix = ".mp4" if fate.codec == "mov_text" else ".mkv"
    made = target.with_name(f"{target.stem}.subtitle{fate.track.index}{suffix}")
    run(convert_subtitle_graph(source, fate.track.index, fate.codec, made), _SUBTITLE_TIMEOUT_SECONDS)
    return av.open(str(made))


def _source_packets(container: InputContainer, streams: dict[int, Stream]) -> Iterator[_Timed]:
    if not streams:
        return
    wanted = [container.streams[index] for index in streams]
    for packet in container.demux(wanted):
        if packet.pts is None and is_cover(packet.stream) and packet.size:
            packet.pts = packet.dts = 0  # mp4 keeps covers outside of time
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None:
            continue
        seconds = float(stamp * packet.time_base)
        index = packet.stream.index
        packet.stream = streams[index]
        yield seconds, index + 1, packet


def _picture_packets(parts: Sequence[PartFile], timeline: Timeline, stream: Stream) -> Iterator[_Timed]:
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
