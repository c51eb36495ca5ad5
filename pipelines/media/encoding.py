"""What a delivery is encoded with: everything one encoder run needs."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from fractions import Fraction

import av

from pipelines.errors import UsageError
from pipelines.media.codecs import CODECS, encoder_options
from pipelines.media.colour import Colour
from pipelines.media.containers import Family, container_of
from pipelines.media.fitting import EncodeSpec, Fit, fit
from pipelines.media.layouts import PixelLayout, known_layout
from pipelines.media.rates import nominal_rate
from pipelines.media.source_info import SourceInfo
from pipelines.timeline import Timeline

_SHAPELESS = ("ffv1", "prores", "av1")
"""Codecs whose streams do not hold the shape of a pixel here: it is for the container to say."""


@dataclass(frozen=True)
class Encoding:
    """Everything one encoder run needs, and every way in which it differs from the source."""

    encoder: str
    options: tuple[tuple[str, str], ...]
    width: int
    height: int
    pixel_format: str
    """Of the planes that are painted; `coded_format` may hold the same samples packed."""
    coded_format: str
    rate: Fraction
    """Nominal frames per second, for the encoder's rate control; times are stamped at assembly."""
    sample_aspect: Fraction
    colour: Colour
    part_suffix: str
    notes: tuple[str, ...]
    field_order: str = ""
    """`tff` or `bff`: which of the two fields of a frame is shown first; empty when frames are whole."""

    @property
    def digest(self) -> str:
        """Identity of settings and encoder build: parts with the same digest join without a seam."""
        facts = {key: str(value) for key, value in asdict(self).items() if key != "notes"}
        facts["build"] = str(av.library_versions["libavcodec"]) + av.__version__
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    @property
    def settings(self) -> str:
        """Encoder, preset and quality, for people."""
        options = dict(self.options)
        told = (f"{name} {options[name]}" for name in ("preset", "crf", "qp", "profile") if name in options)
        return ", ".join((self.encoder, *told))

    @property
    def layout(self) -> PixelLayout:
        """What the planes of a delivered frame are."""
        return known_layout(self.pixel_format)

    @property
    def raw_frame_bytes(self) -> int:
        """Of a frame's three planes, as if none were smaller than the picture."""
        sample_bytes = 1 if self.layout.bits == 8 else 2
        return self.width * self.height * 3 * sample_bytes


def make_encoding(
    spec: EncodeSpec, info: SourceInfo, timeline: Timeline, suffix: str, field_order: str = ""
) -> Encoding:
    """Fit the wish to the source; refuses what the codec or the container cannot hold."""
    family = container_of(suffix)
    refuse_unheld(spec, info, suffix)
    encoding = encode_parts(spec, info, timeline, field_order)
    name = next(name for name, codec in CODECS.items() if codec.encoder == encoding.encoder)
    notes = list(encoding.notes)
    if family != info.container:
        notes.append(f"container {info.container} -> {family}")
    if info.sample_aspect not in (0, 1) and name in _SHAPELESS and family == Family.MKV:
        notes.append(f"{name} in mkv does not say that pixels are {info.sample_aspect} as wide as high")
    return replace(encoding, notes=tuple(notes))


def refuse_unheld(spec: EncodeSpec, info: SourceInfo, suffix: str) -> None:
    """Raise unless a codec holds the source's samples as they are wished for, and the container the codec."""
    made = fit(spec, info)
    suffixes = CODECS[made.codec].suffixes
    if suffix.lower() not in suffixes:
        into = " or ".join(suffixes)
        why = f" ({'; '.join(made.notes)})" if made.notes else ""
        clear = info.layout.alpha and not spec.lossless and suffix.lower() in CODECS["prores"].suffixes
        other = ", or ask for --codec prores, which holds alpha" if clear else ""
        raise UsageError(
            f"{made.codec.upper()} does not go into {suffix}{why}; name the output {into}{other}"
        )


def encode_parts(spec: EncodeSpec, info: SourceInfo, timeline: Timeline, field_order: str) -> Encoding:
    """Fit the wish to the source, whatever becomes of the parts."""
    made = fit(spec, info)
    codec = CODECS[made.codec]
    if field_order:
        _refuse_fields(made, info)
    quality = codec.quality if spec.quality is None else spec.quality
    options = encoder_options(
        made.codec,
        made.pixel_format,
        made.colour,
        quality,
        spec.preset,
        spec.threads,
        spec.lossless,
        field_order,
    )
    return Encoding(
        encoder=codec.encoder,
        options=tuple(sorted(options.items())),
        width=info.width,
        height=info.height,
        pixel_format=made.pixel_format,
        coded_format=codec.form(made.pixel_format),
        rate=nominal_rate(timeline.mean_rate),
        sample_aspect=info.sample_aspect,
        colour=made.colour,
        part_suffix=codec.part_suffix,
        notes=made.notes,
        field_order=field_order,
    )


def _refuse_fields(made: Fit, info: SourceInfo) -> None:
    lines = 2 * known_layout(made.pixel_format).chroma_step_y
    if made.codec != "h264":
        advice = "ask for --codec h264 or --scan auto"
        raise UsageError(f"scan fields: {made.codec} keeps no fields here; {advice}")
    if info.height % lines:
        raise UsageError(f"scan fields: {info.height} lines are no multiple of {lines}; ask for --scan auto")
    if info.turn[0]:
        raise UsageError("scan fields: the picture is held on its side; ask for --scan auto")


def configure_encoder(context: av.VideoCodecContext, encoding: Encoding) -> None:
    """Put an encoding into an encoder; the same for the stream that describes a part and for each segment."""
    context.width, context.height = encoding.width, encoding.height
    context.pix_fmt = encoding.coded_format
    context.time_base = 1 / encoding.rate
    context.framerate = encoding.rate
    context.options = dict(encoding.options)
    context.thread_count = int(dict(encoding.options)["threads"])
    if encoding.sample_aspect:
        context.sample_aspect_ratio = encoding.sample_aspect
    context.colorspace = encoding.colour.matrix
    context.color_primaries = encoding.colour.primaries
    context.color_trc = encoding.colour.transfer
    context.color_range = encoding.colour.written_range
    context.flags |= av.codec.context.Flags.global_header
