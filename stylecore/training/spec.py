"""How to train: every number that shapes the result, so that a pack's recipe can repeat it."""

from dataclasses import dataclass, field
from types import MappingProxyType

from stylecore.criterion import STYLE_LAYERS
from stylecore.numbers import refuse_odd_numbers

CONTENT_LAYERS = MappingProxyType({"relu3_2": 0.25, "relu4_2": 1.0})
"""The deeper one holds what is shown; much of the other forbids strokes."""


@dataclass(frozen=True)
class TrainSpec:
    """Steps, sizes and weights of one run."""

    steps: int = 5000
    batch: int = 4
    """Crops of a step, all in one style: its statistics are asked of them together. Styles take turns."""
    any_batch: int = 0
    """Crops of a step in one style that is read from a picture; 0 trains no reader."""
    crop_px: int = 192
    painting_short_side_px: int = 768
    """What the style is measured at: of a frame of 540 lines, so strokes are as wide as film needs them."""
    learning_rate: float = 3e-3
    vector_rate: float = 4.0
    """How much faster style vectors learn: each sees only its own style's turns."""
    style_loss: str = "moments"
    """`gram` (Gatys 2015), `moments` (mean and covariance apart) or `wasserstein` (Gaussian W2)."""
    style_layers: dict[str, float] = field(default_factory=lambda: dict(STYLE_LAYERS))
    content_layers: dict[str, float] = field(default_factory=lambda: dict(CONTENT_LAYERS))
    content_weight: float = 2.5
    style_weight: float = 40.0
    palette_weight: float = 60.0
    tone_weight: float = 16.0
    drawing_weight: float = 15.0
    """Of light and shade in small windows: faces are faint beside a picture's strongest edges."""
    motion_weight: float = 60.0
    motion_noise: float = 0.008
    """Deviation of the second look's noise: film grain. Much more of it forbids strokes in plain skies."""
    smooth_weight: float = 0.05
    lattice_weight: float = 2e6
    reader_weight: float = 1.0
    """Pull of the reader toward the vectors of the styles that have their own."""
    vectors_only: bool = False
    """The network stays as it is and only style vectors learn: the pack stays compatible with its parent."""
    precision: str = "fp32"
    """`fp32`, or `bf16` where the device is fast at it."""
    seed: int = 7

    def __post_init__(self) -> None:
        if self.style_loss not in ("gram", "moments", "wasserstein"):
            raise ValueError(f"style loss must be gram, moments or wasserstein, got {self.style_loss!r}")
        if self.precision not in ("fp32", "bf16"):
            raise ValueError(f"precision must be fp32 or bf16, got {self.precision!r}")
        if self.crop_px < 32 or self.crop_px % 32:
            raise ValueError(f"crop must be a multiple of 32 px, got {self.crop_px}")
        if not sum(self.style_layers.values()):
            raise ValueError(f"of style layers {', '.join(self.style_layers)} one must weigh more than 0")
        refuse_odd_numbers(self, positive=("steps", "learning_rate"))
