"""What a shot should look like and what it is rendered on: frozen values, each with a digest."""

import hashlib
import json
from dataclasses import asdict, dataclass

ENGINE_VERSION = 1
"""Counts up whenever the same style would give other pixels; finished work of other versions is redone."""


@dataclass(frozen=True)
class StyleSpec:
    """One look: a style by reference, how much of it, and whether the source keeps its colours."""

    style: str
    """A bundled style's name, `identity`, or PACK.safetensors, or PACK.safetensors#NAME."""
    style_digest: str
    """Identity of weights and vectors, from the pack."""
    strength: float = 1.0
    """0 leaves the source as it is, 1 is the style as trained."""
    keep_color: bool = False
    """Paint in luminance only; chroma stays bit exact."""

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength must be between 0 and 1, got {self.strength}")

    @property
    def digest(self) -> str:
        """Identity of the look itself, wherever its pack lies."""
        facts = {key: value for key, value in asdict(self).items() if key != "style"}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class EngineSpec:
    """Where and in what pieces to compute. Only `device` class and tiling can move a pixel (by 1/255)."""

    device: str = "cpu"
    """`cpu` or `cuda:N`."""
    batch: int = 1
    """Frames per call on a GPU; on a CPU frames go one by one, which is as fast and always the same."""
    tile_px: int = 0
    """Side of a tile; 0 renders whole frames."""

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"batch must be at least 1, got {self.batch}")
        if self.tile_px and self.tile_px < 64:
            raise ValueError(f"tile must be 0 or at least 64 px, got {self.tile_px}")

    @property
    def device_class(self) -> str:
        """`cpu` or `cuda`: frames are the same within a class."""
        return self.device.partition(":")[0]
