"""Loss networks: pictures (N,3,H,W) in 0..1 -> features by layer name ("relu4_1")."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from stylecore.errors import WeightsError


@dataclass(frozen=True)
class Layout:
    """Convolutions of a plain 3x3 network, stage by stage; a 2x2 max-pool stands between stages."""

    stages: tuple[tuple[str, ...], ...]
    input_conv: str | None = None
    """A 1x1 convolution in front that does the input's normalization, if the weights hold one."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)


LAYOUTS = {
    # VGG-19, Simonyan & Zisserman 2014: torchvision's names and normalization, as far as relu5_1.
    "vgg19": Layout(
        (
            ("features.0", "features.2"),
            ("features.5", "features.7"),
            ("features.10", "features.12", "features.14", "features.16"),
            ("features.19", "features.21", "features.23", "features.25"),
            ("features.28",),
        ),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
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


class Encoder(nn.Module):
    """A frozen stack of convolutions whose activations are asked for by name."""

    def __init__(self, layout: Layout, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.layout = layout
        for name in [*sum(layout.stages, ()), *([layout.input_conv] if layout.input_conv else [])]:
            for part in ("weight", "bias"):
                self.register_buffer(_key(name, part), weights[f"{name}.{part}"].float())
        self.register_buffer("mean", torch.tensor(layout.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(layout.std).view(1, 3, 1, 1))

    def forward(self, rgb: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        wanted = set(layers)
        found: dict[str, Tensor] = {}
        x = self._enter(rgb)
        for stage, names in enumerate(self.layout.stages, start=1):
            if stage > 1:
                x = F.max_pool2d(x, 2)
            for number, name in enumerate(names, start=1):
                x = F.relu(self._conv(name, F.pad(x, (1, 1, 1, 1), mode="reflect")))
                if f"relu{stage}_{number}" in wanted:
                    found[f"relu{stage}_{number}"] = x
                if len(found) == len(wanted):
                    return found
        raise WeightsError(f"layers {sorted(wanted - set(found))} are not in this loss network")

    def _enter(self, rgb: Tensor) -> Tensor:
        if self.layout.input_conv:
            return self._conv(self.layout.input_conv, rgb)
        return (rgb - self.get_buffer("mean")) / self.get_buffer("std")

    def _conv(self, name: str, x: Tensor) -> Tensor:
        return F.conv2d(x, self.get_buffer(_key(name, "weight")), self.get_buffer(_key(name, "bias")))


def _key(name: str, part: str) -> str:
    return f"{name}_{part}".replace(".", "_")


def published_vgg19() -> Encoder:
    """VGG-19 as torchvision publishes it, from its cache or the network; its own hash is checked.

    WeightsError when it can neither be found nor fetched.
    """
    from torchvision.models import VGG19_Weights  # slow to import, and needed here alone

    try:
        state = VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as err:
        raise WeightsError(
            f"torchvision's VGG-19 is neither in torch's cache nor to be fetched ({err}); "
            "give a file with --loss-network vgg19.safetensors"
        ) from err
    return Encoder(LAYOUTS["vgg19"], dict(state))


def load_encoder(path: Path, sha256: str | None = None) -> Encoder:
    """A loss network from a safetensors file; which one is told by the names inside it."""
    try:
        data = path.read_bytes()
        weights = load(data)
    except (OSError, SafetensorError) as err:
        raise WeightsError(f"{path}: not a loss network in safetensors form ({err})") from err
    found = hashlib.sha256(data).hexdigest()
    if sha256 and found != sha256:
        raise WeightsError(f"{path}: sha256 is {found}, expected {sha256}")
    for layout in LAYOUTS.values():
        if all(f"{name}.weight" in weights for name in sum(layout.stages, ())):
            return Encoder(layout, weights)
    raise WeightsError(f"{path}: holds none of the known loss networks ({', '.join(LAYOUTS)})")
