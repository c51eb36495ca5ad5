"""What a delivery is encoded with: a wish (EncodeSpec) made exact for one source (Encoding)."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from fractions import Fraction

import av

from pipelines.errors import UsageError
from pipelines.media.codecs import CODECS, encoder_options
from pipelines.media.layouts import PixelLayout, known_layout, layout_name
from pipelines.media.probe import Colour, SourceInfo
from pipelines.timeline import Timeline

CONTAINERS = {".mp4": "mov/mp4", ".m4v": "mov/mp4", ".mov": "mov/mp4", ".mkv": "matroska/webm"}
DEPTHS = (8, 10, 12)
_SHAPELESS = ("ffv1", "prores")
"""Codecs whose streams do not hold the shape of a pixel: it is for the container to say."""
_RATES = [Fraction(rate) for rate in (24, 25, 30, 48, 50, 60, 100, 120)] + [
    Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 120)
]


@dataclass(frozen=True)
class EncodeSpec:
    """The delivery as asked for. `quality` is a CRF (lower is better); None takes the codec's default."""

    codec: str = "h264"
    quality: int | None = None
    preset: str = "medium"
    lossless: bool = False
    depth: int | None = None
    """Bits of a sample; None keeps the source's."""
    threads: int = 2
    """Encoder threads: part of the result, since x264 and x265 write other bytes with other counts."""

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise UsageError(f"codec {self.codec!r} is not known; choose from {', '.join(CODECS)}")
        if self.quality is not None and not 0 <= self.quality <= 51:
            raise UsageError(f"quality must be a CRF from 0 to 51, got {self.quality}")
        if self.depth not in (None, *DEPTHS):
            raise UsageError(f"depth must be {', '.join(map(str, DEPTHS))} bits, got {self.depth}")
        if self.lossless and self.codec in ("av1", "prores"):
            raise UsageError(f"{self.codec} has no lossless mode here; ask for h264, h265 or ffv1")


@dataclass(frozen=True)
class Encoding:
    """Everything one encoder run needs, and every way in which it differs from the source."""

    encoder: str
    options: tuple[tuple[str, str], ...]
    width: int
    height: int
    pixel_format: str
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
    def layout(self) -> PixelLayout:
        """What the planes of a delivered frame are."""
        return known_layout(self.pixel_format)


def container_of(suffix: str) -> str:
    """Container family of an output suffix such as `.mkv`."""
    family = CONTAINERS.get(suffix.lower())
    if family is None:
        hint = " (webm holds no H.264: use .mkv)" if suffix.lower() == ".webm" else ""
        raise UsageError(f"output {suffix or 'without suffix'!r}: name it {', '.join(CONTAINERS)}{hint}")
    return family


def make_encoding(
    spec: EncodeSpec, info: SourceInfo, timeline: Timeline, suffix: str, field_order: str = ""
) -> Encoding:
    """Fit the wish to the source; refuses what the codec or the container cannot hold."""
    family = container_of(suffix)
    codec, pixels, notes = _fit(spec, info)
    if field_order:
        _refuse_fields(codec, pixels, info)
    colour = info.colour
    if codec == "prores" and colour.full_range:
        # QuickTime has no tag for full range: players would take it for limited.
        colour, notes = replace(colour, range=1, full_range=False), [*notes, "full range -> limited range"]
    if suffix.lower() not in CODECS[codec].suffixes:
        into = " or ".join(CODECS[codec].suffixes)
        why = f" ({'; '.join(notes)})" if notes else ""
        raise UsageError(f"{codec.upper()} does not go into {suffix}{why}; name the output {into}")
    if family != info.container:
        notes = [*notes, f"container {info.container} -> {family}"]
    if info.sample_aspect not in (0, 1) and codec in _SHAPELESS and family == "matroska/webm":
        notes = [*notes, f"{codec} in mkv does not say that pixels are {info.sample_aspect} as wide as high"]
    quality = CODECS[codec].quality if spec.quality is None else spec.quality
    options = encoder_options(codec, pixels, quality, spec.preset, spec.threads, spec.lossless, field_order)
    return Encoding(
        encoder=CODECS[codec].encoder,
        options=tuple(sorted(options.items())),
        width=info.width,
        height=info.height,
        pixel_format=pixels,
        rate=nominal_rate(timeline.mean_rate),
        sample_aspect=info.sample_aspect,
        colour=colour,
        part_suffix=CODECS[codec].part_suffix,
        notes=tuple(notes),
        field_order=field_order,
    )


def _refuse_fields(codec: str, pixels: str, info: SourceInfo) -> None:
    lines = 2 * known_layout(pixels).chroma_step_y
    if codec != "h264":
        raise UsageError(f"scan fields: {codec} keeps no fields here; ask for --codec h264 or --scan auto")
    if info.height % lines:
        raise UsageError(f"scan fields: {info.height} lines are no multiple of {lines}; ask for --scan auto")
    if info.turn[0]:
        raise UsageError("scan fields: the picture is held on its side; ask for --scan auto")


def nominal_rate(mean: Fraction) -> Fraction:
    """The standard rate within half a permille of the mean, or the mean itself in small numbers."""
    nearest = min(_RATES, key=lambda rate: abs(rate - mean))
    if abs(nearest - mean) * 2000 <= mean:
        return nearest
    return mean.limit_denominator(1001)


def configure_encoder(context: av.VideoCodecContext, encoding: Encoding) -> None:
    """Put an encoding into an encoder; the same for the stream that describes a part and for each segment."""
    context.width, context.height = encoding.width, encoding.height
    context.pix_fmt = encoding.pixel_format
    context.time_base = 1 / encoding.rate
    context.framerate = encoding.rate
    context.options = dict(encoding.options)
    context.thread_count = int(dict(encoding.options)["threads"])
    if encoding.sample_aspect:
        context.sample_aspect_ratio = encoding.sample_aspect
    context.colorspace = encoding.colour.matrix
    context.color_primaries = encoding.colour.primaries
    context.color_trc = encoding.colour.transfer
    context.color_range = encoding.colour.range or (2 if encoding.colour.full_range else 0)
    context.flags |= av.codec.context.Flags.global_header


def _fit(spec: EncodeSpec, info: SourceInfo) -> tuple[str, str, list[str]]:
    """Codec and pixel format nearest to the wish that hold the source's samples, and what had to give."""
    layout = info.layout
    wanted = _wanted(spec, layout)
    divides = layout.divides(info.width, info.height)
    what = f"{spec.codec} cannot hold {info.width}x{info.height} in {wanted}"
    for codec in dict.fromkeys((spec.codec, "h265", "ffv1")):
        pixels = wanted.replace("yuvj", "yuv") if codec == "ffv1" else wanted
        if CODECS[codec].holds(pixels) and (codec in ("ffv1", "prores") or divides):
            notes = _changes(layout, pixels)
            return codec, pixels, notes if codec == spec.codec else [f"{what}; encoded as {codec}", *notes]
        full = layout_name(layout, known_layout(wanted).bits, 1, 1)
        if codec == spec.codec and not spec.lossless and CODECS[codec].holds(full):
            return codec, full, [f"{what}; encoded as {full}"]
    raise UsageError(f"no codec here holds {wanted}")


def _wanted(spec: EncodeSpec, layout: PixelLayout) -> str:
    """The pixel format asked for: the source's own unless codec or depth say otherwise."""
    if spec.codec == "prores":
        return "yuv444p10le" if layout.chroma_step_x == 1 and not layout.gray else "yuv422p10le"
    if spec.depth in (None, layout.bits):
        return layout.name
    return layout_name(layout, spec.depth or layout.bits, layout.chroma_step_x, layout.chroma_step_y)


def _changes(layout: PixelLayout, pixels: str) -> list[str]:
    return [f"samples {layout.name} -> {pixels}"] if known_layout(pixels).samples != layout.samples else []
