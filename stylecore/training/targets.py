"""What style pictures ask for: moments of a loss network's features by layer, and their colours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecore import losses
from stylecore.encoders import LossNetwork
from stylecore.runtime import keep_arithmetic_exact

_DIRECTIONS = 24


@dataclass(frozen=True)
class Targets:
    """Of S style pictures: mean (S,C) and second moments (S,C,C) by layer, palette quantiles (S,D,K)."""

    means: Mapping[str, Tensor]
    grams: Mapping[str, Tensor]
    palettes: Tensor
    directions: Tensor

    @classmethod
    @torch.no_grad()
    def measure(cls, pictures: Sequence[Tensor], encoder: LossNetwork, layers: Sequence[str]) -> "Targets":
        """One by one, at the size they come in; kept on the CPU's or GPU's side of the encoder.

        Training begins here, and from here on fp32 is fp32.
        """
        keep_arithmetic_exact()
        generator = torch.Generator().manual_seed(7)
        directions = F.normalize(torch.randn(_DIRECTIONS, 3, generator=generator), dim=1)
        means: dict[str, list[Tensor]] = {name: [] for name in layers}
        grams: dict[str, list[Tensor]] = {name: [] for name in layers}
        device = next(encoder.buffers()).device
        for picture in pictures:
            features = encoder(picture[None].to(device), layers)
            for name in layers:
                means[name].append(features[name].mean((2, 3)))
                grams[name].append(losses.gram(features[name]))
        palettes = torch.stack([losses.palette_quantiles(picture, directions) for picture in pictures])
        return cls(
            {name: torch.cat(found) for name, found in means.items()},
            {name: torch.cat(found) for name, found in grams.items()},
            palettes.to(device),
            directions.to(device),
        )

    def pick(self, rows: Sequence[int]) -> "Targets":
        """The targets of some of the pictures, by row."""
        chosen = list(rows)
        return Targets(
            {name: found[chosen] for name, found in self.means.items()},
            {name: found[chosen] for name, found in self.grams.items()},
            self.palettes[chosen],
            self.directions,
        )

    def of(self, layer: str, row: int) -> tuple[Tensor, Tensor]:
        """Mean (1,C) and second moments (1,C,C) that one picture asks for."""
        return self.means[layer][row : row + 1], self.grams[layer][row : row + 1]

    def beside(self, other: "Targets") -> "Targets":
        """These targets followed by the other's."""
        return Targets(
            {name: torch.cat([found, other.means[name]]) for name, found in self.means.items()},
            {name: torch.cat([found, other.grams[name]]) for name, found in self.grams.items()},
            torch.cat([self.palettes, other.palettes]),
            self.directions,
        )
