"""Loss networks: pictures (N,3,H,W) in 0..1 -> features by layer name: "relu4_1", "conv4_1" before it.

Deviations from the published networks: convolutions pad by reflection (zeros read as a dark border, which
optimization then paints around), and average pooling, if asked for, is doubled so that activations keep
their size (Crowson 2020).
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn
from torch.hub import load_state_dict_from_url

from stylecore.digest import file_sha256
from stylecore.errors import WeightsError

BUNDLED_LOSS_NETWORK = Path(__file__).parent / "weights" / "compact.safetensors"
PUBLISHED = {
    "vgg16": "https://download.pytorch.org/models/vgg16-397923af.pth",
    "vgg19": "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
}
"""Loss networks that torchvision publishes; a name's end is the hash's beginning."""
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet."""


@dataclass(frozen=True)
class Layout:
    """Convolutions of a plain 3x3 network, stage by stage; a 2x2 pool stands between stages."""

    stages: tuple[tuple[str, ...], ...]
    input_conv: str | None = None
    """A 1x1 convolution in front that does the input's normalization, if the weights hold one."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def convolutions(self) -> list[str]:
        """Names of all 3x3 convolutions, in order."""
        return [name for stage in self.stages for name in stage]


def _features(*stages: tuple[int, ...]) -> tuple[tuple[str, ...], ...]:
    """Torchvision's names: places in one long list of modules."""
    return tuple(tuple(f"features.{place}" for place in stage) for stage in stages)


_VGG19 = _features((0, 2), (5, 7), (10, 12, 14, 16), (19, 21, 23, 25), (28, 30, 32, 34))
LAYOUTS = {
    # Simonyan & Zisserman 2014, with torchvision's names and normalization.
    "vgg19": Layout(_VGG19, mean=_MEAN, std=_STD),
    "vgg16": Layout(
        _features((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)), mean=_MEAN, std=_STD
    ),
    # Gatys' normalized VGG-19: the same names and another input, so it must be asked for.
    "vgg19-normalized": Layout(_VGG19, mean=(0.48501961, 0.45795686, 0.40760392)),
    # Ours, distilled: see `training.distill`.
    "compact": Layout(
        (
            ("conv1_1", "conv1_2"),
            ("conv2_1", "conv2_2"),
            ("conv3_1", "conv3_2", "conv3_3", "conv3_4"),
            ("conv4_1", "conv4_2", "conv4_3"),
            ("conv5_1",),
        ),
        mean=_MEAN,
        std=_STD,
    ),
    # Collaborative Distillation (Wang 2020): the VGG-19 encoder at a sixteenth of its size.
    "vgg19-cd16x": Layout(
        (
            ("conv11", "conv12"),
            ("conv21", "conv22"),
            ("conv31", "conv32", "conv33", "conv34"),
            ("conv41", "conv42", "conv43", "conv44"),
            ("conv51",),
        ),
        "conv0",
    ),
}


def _average_pool(x: Tensor) -> Tensor:
    return 2 * F.avg_pool2d(x, 2)


def _max_pool(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2)


POOLINGS: dict[str, Callable[[Tensor], Tensor]] = {"max": _max_pool, "average": _average_pool}


class Encoder(nn.Module):
    """A frozen stack of convolutions whose activations are asked for by name.

    Weights may end before the layout does: what is deeper is then not there to be asked for.
    """

    def __init__(self, layout: Layout, weights: Mapping[str, Tensor], pooling: str = "max") -> None:
        super().__init__()
        self.layout = layout
        self.pool = POOLINGS[pooling]
        held = [name for name in layout.convolutions if f"{name}.weight" in weights]
        self.stages = [[name for name in stage if name in held] for stage in layout.stages]
        for name in [*held, *([layout.input_conv] if layout.input_conv else [])]:
            for part in ("weight", "bias"):
                self.register_buffer(_key(name, part), weights[f"{name}.{part}"].float())
        self.register_buffer("mean", torch.tensor(layout.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(layout.std).view(1, 3, 1, 1))

    @property
    def layers(self) -> list[str]:
        """Names of all activations, shallow to deep."""
        numbered = enumerate(self.stages, start=1)
        return [f"relu{stage}_{place + 1}" for stage, names in numbered for place in range(len(names))]

    def forward(self, rgb: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        wanted = set(layers)
        self._refuse_unknown(wanted)
        found: dict[str, Tensor] = {}
        x = self.enter(rgb)
        for stage, names in enumerate(self.stages, start=1):
            if stage > 1:
                x = self.pool(x)
            for number, name in enumerate(names, start=1):
                before = self._conv(name, F.pad(x, (1, 1, 1, 1), mode="reflect"))
                x = F.relu(before)
                made = {f"conv{stage}_{number}": before, f"relu{stage}_{number}": x}
                found |= {layer: each for layer, each in made.items() if layer in wanted}
                if len(found) == len(wanted):
                    return found
        return found

    def _refuse_unknown(self, wanted: set[str]) -> None:
        unknown = sorted({rectified(name) for name in wanted} - set(self.layers))
        if unknown:
            raise WeightsError(f"{', '.join(unknown)}: this loss network has {', '.join(self.layers)}")

    def enter(self, rgb: Tensor) -> Tensor:
        """The picture as the first convolution wants it."""
        if self.layout.input_conv:
            return self._conv(self.layout.input_conv, rgb)
        return (rgb - self.get_buffer("mean")) / self.get_buffer("std")

    def _conv(self, name: str, x: Tensor) -> Tensor:
        return F.conv2d(x, self.get_buffer(_key(name, "weight")), self.get_buffer(_key(name, "bias")))


class Panel(nn.Module):
    """Several loss networks as one: each layer is asked of the first that has it."""

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)

    def forward(self, rgb: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        missing, found = list(layers), dict[str, Tensor]()
        for encoder in self.encoders:
            assert isinstance(encoder, Encoder)
            held = [name for name in missing if rectified(name) in encoder.layers]
            found |= encoder(rgb, held) if held else {}
            missing = [name for name in missing if name not in found]
        if missing:
            raise WeightsError(f"{', '.join(missing)}: none of the loss networks has it")
        return found


LossNetwork = Encoder | Panel


def rectified(name: str) -> str:
    """The activation after a convolution, by the convolution's name or its own."""
    return name.replace("conv", "relu")


def _key(name: str, part: str) -> str:
    return f"{name}_{part}".replace(".", "_")


def bundled_encoder(pooling: str = "max") -> Encoder:
    """The loss network in the box: small, ours, always there."""
    return load_encoder(BUNDLED_LOSS_NETWORK, pooling=pooling)


def published_encoder(name: str, pooling: str = "max") -> Encoder:
    """`vgg16` or `vgg19` as torchvision publishes it, from torch's cache or the network.

    WeightsError when it can neither be found nor fetched, or is not what its name's hash says.
    """
    kept = Path(torch.hub.get_dir(), "checkpoints", PUBLISHED[name].rpartition("/")[2])
    if kept.exists():
        _check_published(kept)
    try:
        state = load_state_dict_from_url(
            PUBLISHED[name], progress=False, check_hash=True, map_location="cpu", weights_only=True
        )
    except (OSError, RuntimeError) as err:
        raise WeightsError(
            f"torchvision's {name} is neither in torch's cache nor to be fetched ({err}); "
            "--loss-network bundled works offline, and so does a file"
        ) from err
    return Encoder(LAYOUTS[name], state, pooling)


def _check_published(file: Path) -> None:
    # Torch checks what it downloads, and not what it finds in its cache.
    wanted = file.stem.rpartition("-")[2]
    found = file_sha256(file)
    if not found.startswith(wanted):
        raise WeightsError(f"{file}: sha256 is {found}, expected {wanted}...; remove it, it is fetched again")


def load_encoder(
    path: Path, sha256: str | None = None, layout: str | None = None, pooling: str = "max"
) -> Encoder:
    """A loss network from a safetensors file; unless given, its layout is told by the names inside it."""
    try:
        data = path.read_bytes()
        weights = load(data)
    except (OSError, SafetensorError, KeyError) as err:  # KeyError: of a type that torch has not
        raise WeightsError(f"{path}: not a loss network in safetensors form ({err})") from err
    found = hashlib.sha256(data).hexdigest()
    if sha256 and found != sha256:
        raise WeightsError(f"{path}: sha256 is {found}, expected {sha256}; it is not the file meant")
    name = layout or _layout_of(weights)
    if name is None:
        raise WeightsError(f"{path}: holds none of the known loss networks ({', '.join(LAYOUTS)})")
    try:
        encoder = Encoder(LAYOUTS[name], weights, pooling)
        encoder(torch.zeros(1, 3, 64, 64), encoder.layers)
    except (KeyError, IndexError, RuntimeError) as err:
        raise WeightsError(f"{path}: its weights do not fit the layout {name} ({err})") from err
    if not all(each.isfinite().all() for each in encoder.buffers()):
        raise WeightsError(f"{path}: holds NaN or infinity; it is damaged, or its training broke")
    return encoder


def _layout_of(weights: Mapping[str, Tensor]) -> str | None:
    """The first layout that knows every convolution of the file, and whose first one is there."""
    plain = {name.removesuffix(".weight") for name, each in weights.items() if each.shape[2:] == (3, 3)}
    return next(
        (
            name
            for name, layout in LAYOUTS.items()
            if plain <= set(layout.convolutions) and layout.convolutions[0] in plain
        ),
        None,
    )
