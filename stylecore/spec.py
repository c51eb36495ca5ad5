"""What a shot should look like and what it is rendered on: frozen values, each with a digest."""

import hashlib
import json
from dataclasses import asdict, dataclass

ENGINE_VERSION = 14
"""Counts up whenever the same style would give other pixels; finished work of other versions is redone."""

COLOR_MODES = ("style", "source", "matched")
"""The style's colours; the source's (paint in luminance only); the style's, moved to the source's palette."""

EXACT = "fp32"
PRECISIONS = (EXACT, "bf16", "fp16")

MOST_STEADY = 8
"""Farther frames have little in common, and all of a window is held in memory."""
METHODS = ("network", "optimize", "harmonize")
"""A network in one pass; or the pixels themselves, frame after frame: in the style of a picture (`temporal`),
or what a matte shows of them laid into a painting (`harmonize`)."""


@dataclass(frozen=True)
class StyleKey:
    """A key frame: at `frame`, counted from the shot's first and maybe outside it, the look is this."""

    frame: int
    style: str
    style_digest: str
    strength: float

    def __post_init__(self) -> None:
        _check_strength(self.strength)


@dataclass(frozen=True)
class Matte:
    """Where to paint: a greyscale picture, or a film with one frame for each of the title's."""

    file: str
    digest: str
    outside: bool = False
    """Paint where the matte is black instead of where it is white."""


@dataclass(frozen=True)
class StyleSpec:
    """One look: a style by reference, how much of it, in which colours, with which brush, where."""

    style: str
    """A style's name, PACK.safetensors[#NAME], a picture, or a blend `A:0.6+B:0.4`: see `catalog`."""
    style_digest: str
    """Identity of weights and vectors, from the pack."""
    strength: float = 1.0
    """0 leaves the source as it is, 1 is the style as trained."""
    color: str = "style"
    """One of COLOR_MODES."""
    brush: float = 1.0
    """Size of strokes relative to the style's own."""
    keys: tuple[StyleKey, ...] = ()
    """Ascending key frames; between two the look moves evenly. Empty: the same look all along."""
    matte: Matte | None = None
    method: str = "network"
    """One of METHODS."""
    passes: int = 1
    """Of `optimize`: more than 1 go to and fro over the shot."""
    steady: int = 0
    """Of `network`: frames on either side whose strokes each shares, along the film's motion."""

    def __post_init__(self) -> None:
        _check_strength(self.strength)
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}")
        if self.color not in COLOR_MODES:
            raise ValueError(f"color must be one of {', '.join(COLOR_MODES)}, got {self.color!r}")
        if not 0.25 <= self.brush <= 4:
            raise ValueError(f"brush must be between 0.25 and 4, got {self.brush}")
        if not 0 <= self.steady <= MOST_STEADY:
            raise ValueError(f"steady must be between 0 and {MOST_STEADY} frames, got {self.steady}")

    @property
    def digest(self) -> str:
        """Identity of the look itself, wherever its files lie."""
        facts = asdict(self)
        for place in (facts, *facts["keys"]):
            del place["style"]
        if facts["matte"]:
            del facts["matte"]["file"]
        if self.method == "network":
            # Finished work is older than the choice of method.
            del facts["method"], facts["passes"]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _check_strength(strength: float) -> None:
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must be between 0 and 1, got {strength}")


@dataclass(frozen=True)
class EngineSpec:
    """Where and in what pieces to compute.

    Tiles and the class of device move a pixel by 1/255 at most; fewer bits give the same picture to 45 dB.
    """

    device: str = "cpu"
    """`cpu` or `cuda:N`."""
    batch: int = 1
    """Frames per call on a GPU; on a CPU frames go one by one, which is as fast and always the same."""
    tile_px: int = 0
    """Side of a tile; 0 renders whole frames."""
    precision: str = EXACT
    """One of PRECISIONS, for the networks' arithmetic; a look that does not bear it is painted in fp32."""
    memory_bytes: int = 0
    """About what painting and all around it may hold: tiles are as small as that asks for; 0: no limit."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}")
        if self.batch < 1:
            raise ValueError(f"batch must be at least 1, got {self.batch}")
        if self.tile_px and self.tile_px < 64:
            raise ValueError(f"tile must be 0 or at least 64 px, got {self.tile_px}")

    @property
    def together(self) -> int:
        """Frames of a call: one by one on a CPU, where a batch is no faster."""
        return 1 if self.device_class == "cpu" else self.batch

    @property
    def device_class(self) -> str:
        """`cpu` or `cuda`: frames are the same within a class."""
        return self.device.partition(":")[0]
