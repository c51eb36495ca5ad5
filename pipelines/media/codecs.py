"""What a delivery is encoded with: a wish (EncodeSpec) made exact for one source (Encoding)."""

import hashlib
import json
from dataclasses import asdict, dataclass
from fractions import Fraction

import av
import torch

from pipelines.errors import UsageError
from pipelines.media.layouts import PixelLayout
from pipelines.media.probe import Colour, SourceInfo
from pipelines.timeline import Timeline

CONTAINERS = {".mp4": "mov/mp4", ".m4v": "mov/mp4", ".mov": "mov/mp4", ".mkv": "matroska/webm"}
ENCODERS = {"h264": "libx264", "h265": "libx265", "av1": "libsvtav1", "ffv1": "ffv1"}
DEFAULT_QUALITY = {"h264": 18, "h265": 20, "av1": 26}
_AV1_PRESETS = {
    name: str(speed)
    for speed, name in enumerate(
        (
            "placebo",
            "veryslow",
            "slower",
            "slow",
            "medium",
            "fast",
            "faster",
            "veryfast",
            "superfast",
            "ultrafast",
        ),
        start=2,
    )
}
"""x264's names of presets, as SVT-AV1 numbers them."""
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
    threads: int = 2
    """Encoder threads: part of the result, since x264 and x265 write other bytes with other counts."""

    def __post_init__(self) -> None:
        if self.codec not in ENCODERS:
            raise UsageError(f"codec {self.codec!r} is not known; choose from {', '.join(ENCODERS)}")
        if self.quality is not None and not 0 <= self.quality <= 51:
            raise UsageError(f"quality must be a CRF from 0 to 51, got {self.quality}")


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

    @property
    def digest(self) -> str:
        """Identity of settings and encoder build: parts with the same digest join without a seam."""
        facts = {key: str(value) for key, value in asdict(self).items() if key != "notes"}
        facts["build"] = str(av.library_versions["libavcodec"]) + av.__version__
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def container_of(suffix: str) -> str:
    """Container family of an output suffix such as `.mkv`."""
    family = CONTAINERS.get(suffix.lower())
    if family is None:
        hint = " (webm holds no H.264: use .mkv)" if suffix.lower() == ".webm" else ""
        raise UsageError(f"output {suffix or 'without suffix'!r}: name it {', '.join(CONTAINERS)}{hint}")
    return family


def make_encoding(spec: EncodeSpec, info: SourceInfo, timeline: Timeline, suffix: str) -> Encoding:
    """Fit the wish to the source; refuses what the codec or the container cannot hold."""
    family = container_of(suffix)
    codec, pixels, notes = _fit(spec, info)
    if codec == "ffv1" and suffix.lower() not in (".mkv", ".mov"):
        raise UsageError(f"FFV1 does not go into {suffix}: {' '.join(notes) or 'name the output .mkv'}")
    return Encoding(
        encoder=ENCODERS[codec],
        options=tuple(sorted(_options(spec, codec).items())),
        width=info.width,
        height=info.height,
        pixel_format=pixels,
        rate=nominal_rate(timeline.mean_rate),
        sample_aspect=info.sample_aspect,
        colour=info.colour,
        part_suffix=".mkv" if codec == "ffv1" else ".mp4",
        notes=tuple(
            [*notes, *([f"container {info.container} -> {family}"] if family != info.container else [])]
        ),
    )


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
    wanted, layout = info.pixel_format, info.layout
    if spec.lossless and spec.codec == "av1":
        raise UsageError("SVT-AV1 has no lossless mode; ask for h264, h265 or ffv1")
    what = f"{spec.codec} cannot hold {info.width}x{info.height} in {wanted}"
    for codec in dict.fromkeys((spec.codec, "h265", "ffv1")):
        pixels = wanted.replace("yuvj", "yuv") if codec == "ffv1" else wanted
        if _holds(codec, pixels) and (codec == "ffv1" or layout.divides(info.width, info.height)):
            return codec, pixels, [] if codec == spec.codec else [f"{what}; encoded as {codec}"]
        full = _every_pixel(layout)
        if codec == spec.codec and not spec.lossless and _holds(codec, full):
            return codec, full, [f"{what}; encoded as {full}"]
    raise UsageError(f"no codec here holds {wanted}")


def _holds(codec: str, pixels: str) -> bool:
    forms = av.Codec(ENCODERS[codec], "w").video_formats or []
    return pixels in {form.name for form in forms}


def _every_pixel(layout: PixelLayout) -> str:
    """The pixel format of the same depth and range with chroma for every pixel."""
    if layout.name.startswith("yuvj"):
        return "yuvj444p"
    return "yuv444p" if layout.bits == 8 else f"yuv444p{layout.bits}{layout.name[-2:]}"


def _options(spec: EncodeSpec, codec: str) -> dict[str, str]:
    quality = DEFAULT_QUALITY.get(codec, 0) if spec.quality is None else spec.quality
    threads = str(spec.threads)
    if codec == "h264":
        # stitchable keeps CRF and content out of the parameter sets, so that all parts share them.
        params = f"open-gop=0:keyint=240:stitchable=1{_x264_cpu()}"
        rate = (
            {"qp": "0", "preset": "ultrafast"}
            if spec.lossless
            else {"crf": str(quality), "preset": spec.preset}
        )
        return {**rate, "threads": threads, "x264-params": params}
    if codec == "h265":
        params = f"no-open-gop=1:keyint=240:no-info=1:pools={threads}:frame-threads=1:log-level=none"
        lossless = ":lossless=1" if spec.lossless else ""
        return {
            "crf": str(quality),
            "preset": spec.preset,
            "threads": threads,
            "x265-params": params + lossless,
        }
    if codec == "av1":
        preset = _AV1_PRESETS.get(spec.preset, spec.preset)
        params = f"lp={threads}:keyint=240:scd=0"
        return {"crf": str(quality), "preset": preset, "threads": threads, "svtav1-params": params}
    return {"level": "3", "g": "1", "slices": "4", "slicecrc": "1", "threads": threads}


def _x264_cpu() -> str:
    """x264's AVX-512 macroblock tree reads past its row where width / 16 is uneven: two runs, two files."""
    return ":asm=avx2" if torch.backends.cpu.get_cpu_capability() == "AVX512" else ""
