"""Carry everything beside the picture from a source into a delivery: tracks, attachments, chapters, tags."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from math import ceil
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from pipelines.errors import AssemblyError
from pipelines.excerpt import WHOLE, Window, ends
from pipelines.faults import is_full
from pipelines.media.chapters import chapters_for
from pipelines.media.containers import TAGS_OF_FILE, Family, family_named, family_of, writer_of
from pipelines.media.decoding import packets_of, stamp
from pipelines.media.ffmpeg import convert_subtitle_graph, run
from pipelines.media.left_out import Place, left_out
from pipelines.media.opening import declared_rates, is_cover, open_source
from pipelines.media.original import Original
from pipelines.media.rates import counting_rate
from pipelines.media.tracks import CONVERTED, DROPPED, Fate
from pipelines.timecode import format_timecode, parse_timecode

# Written by the muxer itself, or true only of the source's own file.
_STREAM_TAGS_OF_FILE = {
    *("encoder", "ENCODER", "DURATION", "BPS", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES"),
    *("_STATISTICS_WRITING_APP", "_STATISTICS_WRITING_DATE_UTC", "_STATISTICS_TAGS"),
}
_ATTACHED = {form: (f"cover.{form}", f"image/{form}") for form in ("png", "bmp")}
_ATTACHED["mjpeg"] = ("cover.jpg", "image/jpeg")
_SUBTITLE_SECONDS = 600
_SLOWEST_BYTES_PER_SECOND = 5e6
"""A subtitle lies all over its film, which is read whole: from a busy file server, for hours."""
COARSEST_TICK = Fraction(1, 8000)
"""Packets are moved by whole ticks, so that their distances stay exact; no coarser ones than this."""

Timed = tuple[float, int, av.Packet]
"""A packet for the muxer, with its second and a number that orders what falls on the same one."""


def open_target(target: Path, fates: Sequence[Fate]) -> OutputContainer:
    """A new file of the container that its name says."""
    options = writer_options(target.suffix, fates)
    if family_named(target.suffix) == Family.MP4:
        options["movflags"] += "+faststart"
    return av.open(str(target), "w", format=writer_of(target.suffix), container_options=options)


def writer_options(suffix: str, fates: Sequence[Fate]) -> dict[str, str]:
    """What a container's writer is asked for, wherever it writes."""
    options = {"fflags": "+bitexact"}
    if family_named(suffix) == Family.MP4:
        # The default movie clock of 1 ms would round every track's start; the bit rate noted in btrt is
        # the first part's, and would differ with the shard plan.
        # Tags of any name and a cover are two forms of one box, and ffmpeg writes one of them.
        covered = any(fate.track.role == "cover" and fate.action != DROPPED for fate in fates)
        options |= {
            "movie_timescale": "720000",
            "movflags": "+use_metadata_tags" * (not covered),
            "write_btrt": "0",
        }
        if any(fate.codec == "truehd" for fate in fates):
            options["strict"] = "experimental"  # what ffmpeg calls it there; bytes and times come out alike
    return options


def write_sidecar(original: Original, target: Path) -> None:
    """A file with everything but the picture."""
    with ExitStack() as stack:
        source = stack.enter_context(open_source(original.path))
        out = stack.enter_context(open_target(target, original.fates))
        feeds = carry_tracks(stack, out, source, original, target)
        copy_head(out, source, source.streams[original.info.video_index], original.window)
        mux(out, feeds)
    for fate in original.fates:
        _converted_file(fate, target).unlink(missing_ok=True)


def mux(out: OutputContainer, feeds: Sequence[Iterator[Timed]]) -> None:
    """Write the packets of all feeds in the order of their times."""
    try:
        for _, _, packet in heapq.merge(*feeds, key=lambda item: item[:2]):
            out.mux(packet)
    except av.FFmpegError as err:
        if isinstance(err, OSError) and is_full(err):
            raise
        raise AssemblyError(
            f"{Path(out.name).name}: the container takes no more ({err.strerror}); try an output named .mkv"
        ) from err


def carry_tracks(
    stack: ExitStack, out: OutputContainer, source: InputContainer, original: Original, target: Path
) -> list[Iterator[Timed]]:
    """Give `out` a stream for every kept track; their packets in the window, a feed for each file."""
    streams: dict[int, Stream] = {}
    feeds: list[Iterator[Timed]] = []
    for fate in original.fates:
        if fate.action == CONVERTED and fate.track.kind == "subtitle":
            converted = stack.enter_context(_converted_subtitle(original.path, fate, target))
            made = copy_stream(out, converted.streams[0], source.streams[fate.track.index])
            feeds.append(_packets(converted, {0: made}, original.window, {}))
        elif fate.action != DROPPED:
            _add_track(out, source, fate, streams)
    left = left_out(original.path, original.info, target)
    return [*feeds, _packets(source, streams, original.window, left)]


def _add_track(
    out: OutputContainer, original: InputContainer, fate: Fate, streams: dict[int, Stream]
) -> None:
    """A kept track: copied as a stream, or rebuilt as an attachment, or made by the muxer from tags."""
    track, stream = fate.track, original.streams[fate.track.index]
    if track.role in ("chapters", "timecode"):
        return
    if track.kind == "attachment":
        _attach(out, fate, stream, stream.data)
    elif track.role == "cover" and "matroska" in out.format.name:
        _attach(out, fate, stream, _cover_bytes(original, track.index))
    else:
        streams[track.index] = copy_stream(out, stream, stream)


def _attach(out: OutputContainer, fate: Fate, stream: Stream, data: bytes) -> None:
    """A file in Matroska, called as the source calls it or else by what it is."""
    name, kind = _ATTACHED.get(fate.track.codec, ("attachment", ""))
    tags = {"filename": name, "mimetype": kind} | stream.metadata
    out.add_attachment(tags["filename"], tags["mimetype"], data).metadata.update(tags)


def copy_stream(out: OutputContainer, template: Stream, tagged: Stream, window: Window = WHOLE) -> Stream:
    """A stream for the packets of another, with the tags of a third: those of the source's own."""
    # Opaque: copied by what the file says, since a decoder's name need not be an encoder's.
    stream = out.add_stream_from_template(template, opaque=True)
    stream.time_base = template.time_base
    if isinstance(template, VideoStream):
        _describe_picture(out, stream, template)
    _copy_stream_tags(stream, tagged, window)
    return stream


def _describe_picture(out: OutputContainer, stream: Stream, template: VideoStream) -> None:
    """What a copied picture's stream does not take over from its template."""
    told, codec = stream.codec_context, template.codec_context.name
    if codec == "hevc" and family_of(out) == Family.MP4:
        told.codec_tag = "hvc1"  # Apple's players take no hev1
    if codec.startswith("prores"):
        # The tag alone tells 4444 from 422; the muxer's own choice would be 422.
        told.codec_tag = template.codec_context.codec_tag
    if shape := template.sample_aspect_ratio:
        # The decoders of ProRes and AV1 know of none, and the template is what they know.
        told.sample_aspect_ratio = shape


def _cover_bytes(original: InputContainer, index: int) -> bytes:
    with av.open(original.name) as again:
        return next(bytes(packet) for packet in again.demux(again.streams[index]) if packet.size)


def _copy_stream_tags(stream: Stream, original: Stream, window: Window) -> None:
    """Title, language and the like, and how players should treat the track."""
    # Matroska's reader puts a language behind a key: BPS-eng.
    tags = {
        key: value
        for key, value in original.metadata.items()
        if key.partition("-")[0] not in _STREAM_TAGS_OF_FILE
    }
    if "name" in tags:
        # What the reader of mp4 calls a track's name, its writer takes from the title.
        tags.setdefault("title", tags.pop("name"))
    stream.metadata.update(_at_start(tags, window, original))
    stream.disposition = original.disposition


def copy_head(out: OutputContainer, original: InputContainer, picture: Stream, window: Window) -> None:
    """The film's own tags, and its chapters as far as they reach into the window."""
    tags = {key: value for key, value in original.metadata.items() if key.lower() not in TAGS_OF_FILE}
    out.metadata.update(_at_start(tags, window, picture))
    chapters = chapters_for(original.chapters(), window, family_of(out))
    if chapters:
        out.set_chapters(chapters)


def _at_start(tags: dict[str, str], window: Window, picture: Stream) -> dict[str, str]:
    """Tags whose timecode (Matroska's TIMECODE), if there is one, is that of the excerpt's first frame."""
    tags = {"timecode" if key.lower() == "timecode" else key: value for key, value in tags.items()}
    if not window.elapsed or "timecode" not in tags or not picture.average_rate:
        return tags
    rate, first = counting_rate(*declared_rates(picture)), tags["timecode"]
    try:
        frame = parse_timecode(first, rate) + round(window.elapsed * rate)
        hours, mark, rest = format_timecode(frame, rate, drop=";" in first).partition(":")
        # A time of day, after midnight too.
        return {**tags, "timecode": f"{int(hours) % 24:02}{mark}{rest}"}
    except ValueError:
        return {key: value for key, value in tags.items() if key != "timecode"}


def _converted_file(fate: Fate, target: Path) -> Path:
    suffix = ".mp4" if fate.codec == "mov_text" else ".mkv"
    return target.with_name(f"{target.stem}.subtitle{fate.track.index}{suffix}")


def _converted_subtitle(source: Path, fate: Fate, target: Path) -> InputContainer:
    made = _converted_file(fate, target)
    patience_seconds = _SUBTITLE_SECONDS + source.stat().st_size / _SLOWEST_BYTES_PER_SECOND
    run(convert_subtitle_graph(source, fate.track.index, fate.codec, made), patience_seconds)
    return av.open(str(made))


def _packets(
    container: InputContainer,
    streams: Mapping[int, Stream],
    window: Window,
    unwanted: Container[Place],
) -> Iterator[Timed]:
    """Packets of the streams, in the window and on its clock, bound for their new streams."""
    if not streams:
        return
    spans = _spans(container.name, list(streams)) if window.cuts else {}
    places = Counter[int]()
    for packet in packets_of(container, *(container.streams[index] for index in streams)):
        if packet.pts is None and is_cover(packet.stream) and packet.size:
            packet.pts = packet.dts = 0  # mp4 keeps covers outside of time
        time = stamp(packet)
        if time is None:
            continue
        index = packet.stream.index
        places[index] += packet.pts is not None
        if (index, places[index] - 1) in unwanted:
            next(spans.get(index, iter(())), None)
            continue
        if not window.whole and not is_cover(packet.stream):
            if not _fit(packet, next(spans[index]) if spans else _span(packet), window):
                continue
            time = stamp(packet)
        seconds = float(time * packet.time_base)
        packet.stream = streams[index]
        yield seconds, index + 1, packet


def _span(packet: av.Packet) -> tuple[Fraction, Fraction]:
    begin = Fraction((packet.pts if packet.pts is not None else packet.dts) * packet.time_base)
    return begin, begin + (packet.duration or 0) * packet.time_base


def _spans(name: str, wanted: Sequence[int]) -> dict[int, Iterator[tuple[Fraction, Fraction]]]:
    """Begin and end of every packet with a time, stream by stream, in the order of the file."""
    begins, durations = defaultdict(list), defaultdict(list)
    with av.open(name) as container:
        for packet in packets_of(container, *(container.streams[index] for index in wanted)):
            if stamp(packet) is not None:
                begin, end = _span(packet)
                begins[packet.stream.index].append(begin)
                durations[packet.stream.index].append(end - begin)
    return {index: zip(begins[index], ends(begins[index], durations[index]), strict=True) for index in wanted}


def _fit(packet: av.Packet, span: tuple[Fraction, Fraction], window: Window) -> bool:
    """Move a packet onto the window's clock; False if it has no place there.

    Sound cannot be cut, so its first packet may begin before time 0; a cue begins with the excerpt.
    """
    begin, end = span
    if packet.stream.type == "subtitle":
        if not window.overlaps(begin, end):
            return False
        begin, end = window.cut(begin, end)
        packet.pts = packet.dts = round(begin / packet.time_base)
        if packet.duration:
            packet.duration = max(1, round(end / packet.time_base) - packet.pts)
        return True
    if not window.takes(begin, end):
        return False
    _refine(packet)
    shift = round(window.origin / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts - shift
    packet.dts = None if packet.dts is None else packet.dts - shift
    return True


def _refine(packet: av.Packet) -> None:
    """Count in finer ticks where the packet's own are too coarse to move it by: AVI counts whole packets."""
    parts = ceil(packet.time_base / COARSEST_TICK)
    if parts > 1:
        packet.pts = None if packet.pts is None else packet.pts * parts
        packet.dts = None if packet.dts is None else packet.dts * parts
        packet.duration = (packet.duration or 0) * parts
        packet.time_base = packet.time_base / parts
