"""The encoded picture of one shard: segments, each from its own encoder run, in one file without sound."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from pipelines.errors import AssemblyError, EngineError
from pipelines.media.clock import REORDER
from pipelines.media.encoding import Encoding, configure_encoder
from pipelines.media.fields import FieldMark
from pipelines.media.layouts import PlaneArray, in_format, plane_arrays
from pipelines.timeline import FrameRange

Planes = Sequence[PlaneArray]
UNPROVEN = {"libsvtav1"}
"""Encoders seen to write streams that cannot be decoded: SVT-AV1 at CRF 1 to 4 and small sizes."""


@dataclass(frozen=True)
class PartFacts:
    """What was written: packet checksums in decoding order, and how far pictures are reordered."""

    frames: int
    packet_crcs: tuple[int, ...]
    reorder: int


@dataclass(frozen=True)
class PartPacket:
    """One packet of a part: its payload and the film-wide number of the frame it shows."""

    frame: int
    key: bool
    payload: av.Packet


def write_part(
    path: Path, segments: Sequence[FrameRange], frames: Iterable[Planes], encoding: Encoding
) -> PartFacts:
    """Encode `frames` (all segments', in order) to a new file, read it back, and tell what is in it."""
    source = iter(frames)
    with av.open(str(path), "w", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(encoding.encoder, rate=encoding.rate, options=dict(encoding.options))
        configure_encoder(stream.codec_context, encoding)
        container.start_encoding()
        base = order = 0
        for segment in segments:
            for packet in _encode_segment(source, len(segment), encoding):
                packet.pts += base
                # Numbered here: for one or two frames, x265 hands out whatever lay in its memory.
                packet.dts, order = order - REORDER, order + 1
                packet.stream = stream
                container.mux_one(packet)
            base += len(segment)
    if encoding.encoder in UNPROVEN:
        prove_decodable(path, base)
    packets = list(read_part(path, 0, base))
    return PartFacts(
        frames=base,
        packet_crcs=tuple(zlib.crc32(bytes(packet.payload)) for packet in packets),
        reorder=max(order - packet.frame for order, packet in enumerate(packets)),
    )


def prove_decodable(path: Path, frames: int) -> None:
    """Decode a part to its end; EngineError if it is not the picture of so many frames."""
    found = 0
    try:
        with av.open(str(path)) as container:
            for _ in container.decode(video=0):
                found += 1
    except av.FFmpegError as err:
        raise EngineError(
            f"the encoder wrote a picture that no decoder takes ({err.strerror}, frame {found}): "
            "ask for another quality, preset or codec"
        ) from err
    if found != frames:
        raise EngineError(f"the encoder wrote {found} frames of {frames}: ask for another codec")


def _encode_segment(source: Iterator[Planes], count: int, encoding: Encoding) -> Iterator[av.Packet]:
    context = av.CodecContext.create(encoding.encoder, "w")
    configure_encoder(context, encoding)
    mark = FieldMark(encoding.field_order)
    for number in range(count):
        frame = _frame(next(source), encoding)
        frame.pts, frame.time_base = number, 1 / encoding.rate
        yield from context.encode(mark(frame))
    yield from context.encode(None)


def _frame(planes: Planes, encoding: Encoding) -> av.VideoFrame:
    frame = av.VideoFrame(encoding.width, encoding.height, encoding.pixel_format)
    for view, pixels in zip(plane_arrays(frame), planes, strict=True):
        view[:] = pixels
    frame = in_format(frame, encoding.coded_format)
    frame.colorspace = encoding.colour.matrix
    frame.color_primaries = encoding.colour.primaries
    frame.color_trc = encoding.colour.transfer
    frame.color_range = encoding.colour.written_range
    return frame


def read_part(path: Path, first_frame: int, frames: int) -> Iterator[PartPacket]:
    """Packets of a part in decoding order, numbered from `first_frame`."""
    with av.open(str(path)) as container:
        stamps = sorted(packet.pts for packet in container.demux(video=0) if packet.size)
    if len(stamps) != frames:
        raise AssemblyError(f"{path.name}: holds {len(stamps)} frames, {frames} expected")
    rank = {stamp: number for number, stamp in enumerate(stamps)}
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                yield PartPacket(first_frame + rank[packet.pts], packet.is_keyframe, packet)


def parameter_sets(path: Path) -> bytes:
    """The decoder set-up of a part; parts join only if it is the same in all."""
    with av.open(str(path)) as container:
        return bytes(container.streams.video[0].codec_context.extradata or b"")
