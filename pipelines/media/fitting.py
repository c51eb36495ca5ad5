"""A delivery as wished for, and what of it a source and the codecs allow: codec, samples, colour, and why."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipelines.errors import UsageError
from pipelines.media.codecs import CODECS, PRESETS
from pipelines.media.colour import BT709, LIMITED, STANDARD, Colour
from pipelines.media.layouts import PixelLayout, known_layout, layout_name
from pipelines.media.source_info import SourceInfo

DEPTHS = (8, 10, 12)
HDR = ("keep", "sdr")
_HDR_BITS, _SDR_BITS = 10, 8


@dataclass(frozen=True)
class EncodeSpec:
    """The delivery as asked for. `quality` is a CRF (lower is better); None takes the codec's default."""

    codec: str = "h264"
    quality: int | None = None
    preset: str = "medium"
    lossless: bool = False
    depth: int | None = None
    """Bits of a sample; None keeps the source's."""
    hdr: str = "keep"
    """Whether high dynamic range is kept or tone mapped to a standard picture (`sdr`)."""
    allow_drop: bool = False
    """Whether alpha may be left out where the codec holds none."""
    threads: int = 2
    """Encoder threads: part of the result, since x264 and x265 write other bytes with other counts."""

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise UsageError(f"codec {self.codec!r} is not known; choose from {', '.join(CODECS)}")
        if self.quality is not None and not 0 <= self.quality <= 51:
            raise UsageError(f"quality must be a CRF from 0 to 51, got {self.quality}")
        speeds = (*PRESETS, *map(str, range(14))) if self.codec == "av1" else PRESETS
        if self.preset not in speeds:
            raise UsageError(f"preset {self.preset!r} is not known; choose from {', '.join(PRESETS)}")
        if self.depth not in (None, *DEPTHS):
            raise UsageError(f"depth must be {', '.join(map(str, DEPTHS))} bits, got {self.depth}")
        if self.hdr not in HDR:
            raise UsageError(f"hdr must be {' or '.join(HDR)}, got {self.hdr!r}")
        if self.lossless and self.codec in ("av1", "prores"):
            raise UsageError(f"{self.codec} has no lossless mode here; ask for h264, h265 or ffv1")


@dataclass(frozen=True)
class Fit:
    """What a source is delivered as, and every way in which that differs from source and wish."""

    codec: str
    pixel_format: str
    colour: Colour
    notes: tuple[str, ...] = ()


def fit(spec: EncodeSpec, info: SourceInfo) -> Fit:
    """The codec and samples nearest to the wish that hold the source's; refuses what nothing holds."""
    if info.colour.curve and spec.hdr == "keep" and (spec.depth or _HDR_BITS) < _HDR_BITS:
        raise UsageError(f"high dynamic range needs {_HDR_BITS} bits: --depth 10, or --hdr sdr")
    if info.unread_alpha and not spec.allow_drop:
        raise UsageError(f"the alpha channel of {info.codec} is not read here; --allow-drop goes on without")
    if info.captions and not spec.allow_drop:
        raise UsageError(
            "closed captions inside the picture (CEA-608/708) are not carried; make a subtitle file of them, "
            "or --allow-drop goes on without"
        )
    standard = replace(STANDARD, chroma_site=info.colour.chroma_site)
    light = standard if info.colour.curve and spec.hdr == "sdr" else info.colour
    wanted = _wanted(spec, info, light)
    codec, pixels = _holder(spec, info, wanted, light)
    made = Fit(codec, pixels, _fitted(light, info.layout, known_layout(pixels), codec))
    return replace(made, notes=tuple(_notes(spec, info, wanted, made)))


def _wanted(spec: EncodeSpec, info: SourceInfo, light: Colour) -> str:
    """The pixel format asked for: the source's own unless codec, depth or light say otherwise."""
    layout = info.layout
    if spec.codec == "prores":
        whole = layout.rgb or (layout.chroma_step_x == 1 and not layout.gray)
        return "yuva444p10le" if layout.alpha else "yuv444p10le" if whole else "yuv422p10le"
    bits = spec.depth or (layout.bits if light is info.colour else _SDR_BITS)
    if bits == layout.bits:
        return layout.name
    return layout_name(layout, bits, layout.chroma_step_x, layout.chroma_step_y)


def _holder(spec: EncodeSpec, info: SourceInfo, wanted: str, light: Colour) -> tuple[str, str]:
    """The first codec that holds the samples, and the form in which it does."""
    whole = known_layout(wanted).divides(info.width, info.height)
    for codec in dict.fromkeys((spec.codec, "h265", "ffv1")):
        # The range is told beside the samples; only some encoders take the names that hold it too.
        plain = wanted.replace("yuvj", "yuv")
        pixels = wanted if CODECS[codec].form(wanted) else plain
        if light.curve and not CODECS[codec].hdr:
            continue
        if CODECS[codec].form(pixels) and (codec in ("ffv1", "prores") or whole):
            return codec, pixels
        full = layout_name(known_layout(wanted), known_layout(wanted).bits, 1, 1)
        if codec == spec.codec and not spec.lossless and CODECS[codec].form(full):
            return codec, full
        opaque = wanted.replace("yuva", "yuv").replace("gbrap", "gbrp")
        if codec == spec.codec and spec.allow_drop and CODECS[codec].form(opaque) and whole:
            return codec, opaque
    raise UsageError(f"no codec here holds {wanted}")


def _fitted(light: Colour, source: PixelLayout, made: PixelLayout, codec: str) -> Colour:
    """The colour that is written: RGB as YUV is BT.709; ProRes has limited range alone."""
    if source.rgb and not made.rgb:
        return replace(light, matrix=BT709, meant_matrix="bt709", range=LIMITED, full_range=False)
    if codec == "prores" and light.full_range:
        # QuickTime has no tag for full range: players would take it for limited.
        return replace(light, range=LIMITED, full_range=False)
    return light


def _notes(spec: EncodeSpec, info: SourceInfo, wanted: str, made: Fit) -> Iterator[str]:
    """Every way in which the delivery differs from wish and source."""
    if (made.codec, made.pixel_format.replace("yuvj", "yuv")) != (spec.codec, wanted.replace("yuvj", "yuv")):
        what = "high dynamic range" if made.colour.curve else f"{info.width}x{info.height} in {wanted}"
        chosen = made.codec if made.codec != spec.codec else made.pixel_format
        yield f"{spec.codec} cannot hold {what}; encoded as {chosen}"
    layout, after = info.layout, known_layout(made.pixel_format)
    if info.unread_alpha or (layout.alpha and not after.alpha):
        yield "the alpha channel is dropped"
    if info.captions:
        yield "the closed captions inside the picture are dropped"
    if after.samples != layout.samples:
        yield f"samples {layout.name} -> {made.pixel_format}"
    if info.colour.full_range and not made.colour.full_range:
        yield "full range -> limited range"
    if info.crop:
        yield f"the container crops {info.crop} px (left/right/top/bottom): delivered whole, unmarked"
    if info.projection:
        yield f"the picture is marked {info.projection}: delivered whole, unmarked"
    if made.colour.chroma_site and made.codec not in ("h264", "h265"):
        yield f"chroma lies {made.colour.chroma_site}; {made.codec} does not say so"
    yield from _light_notes(info.colour, made)


def _light_notes(before: Colour, made: Fit) -> Iterator[str]:
    if before.curve and not made.colour.curve:
        name = before.curve.upper()
        yield f"{name} high dynamic range -> BT.709, tone mapped from a peak of {before.peak_nits:.0f} nits"
    elif before.curve and before.static_metadata and not CODECS[made.codec].hdr_metadata:
        yield f"mastering and light level metadata are dropped: {made.codec} has no place for them"
    if before.dynamic_metadata:
        yield f"{' and '.join(before.dynamic_metadata)} metadata is dropped: it describes the source's light"
