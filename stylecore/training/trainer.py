"""Fit a network, its style vectors and its reader: perceptual losses (Johnson 2016), no flow data.

Each step paints some crops in one style, and a second, shifted and noisy look at one of them that must come
out the same (the synthetic-motion idea of ReReVST, Wang 2020, reduced to shifts). Flat crops ask for less
style the flatter they are: titles and fades must stay quiet.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecore import losses
from stylecore.catalog import as_read
from stylecore.digest import digest
from stylecore.encoders import LossNetwork
from stylecore.errors import DivergedError
from stylecore.images import resize_short_side
from stylecore.networks.painter import CELL_PX, spread
from stylecore.networks.reader import StyleReader
from stylecore.normalize import LiveNorm, NormPrior
from stylecore.pack import StylePack, group
from stylecore.palette import Tint, palette_of
from stylecore.training.batches import Batch, Batches
from stylecore.training.gallery import Gallery
from stylecore.training.spec import TrainSpec
from stylecore.training.targets import Targets
from stylecore.training.wishes import appetite, content_wish, style_wish

PRIOR_MOMENTUM = 0.02
AVERAGE_MOMENTUM = 0.005


@dataclass(frozen=True)
class TrainStep:
    """Progress: the step just done and its losses by name, weighted, mean over the batch."""

    step: int
    losses: Mapping[str, float]


class Trainer:
    """The state of one training run, resumable by `state()` and `restore()`.

    On a CPU to the bit; a GPU adds up what reflected borders pass back in any order.
    """

    def __init__(
        self,
        pack: StylePack,
        paintings: Mapping[str, Tensor],
        encoder: LossNetwork,
        spec: TrainSpec,
        gallery: Gallery | None = None,
        device: str = "cpu",
    ) -> None:
        self.pack, self.spec, self.device = pack, spec, device
        self.encoder = encoder.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.names, self.gallery = list(paintings), gallery
        self.paintings = [resize_short_side(each, spec.painting_short_side_px) for each in paintings.values()]
        self.targets = Targets.measure(self.paintings, self.encoder, list(spec.style_layers))
        self.network = pack.network.train().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.requires_grad_(not spec.vectors_only)
        self.prior = pack.prior.to(device)
        self.columns = sum(self.prior.channels)
        known = torch.stack([pack.vectors[name] for name in self.names])[..., : self.columns]
        palettes = torch.cat([palette_of(each[None]) for each in self.paintings])
        self.vectors = torch.cat([known, palettes], 2).to(device).requires_grad_(True)
        self.reader = self._open_reader() if gallery else None
        self.parameters = [each for _, each in self._named()]
        groups = [
            {"params": self.parameters[:-1], "pace": 1.0},
            {"params": [self.vectors], "pace": spec.vector_rate},
        ]
        self.optimizer = torch.optim.Adam(groups, lr=spec.learning_rate, betas=(0.9, 0.99))
        self.average = [each.detach().clone() for each in self.parameters]
        self.step = 0
        self.identity = self._identity()

    def _open_reader(self) -> StyleReader:
        reader = self.pack.reader
        if reader is None:
            torch.manual_seed(self.spec.seed)
            reader = StyleReader(self.columns)
            reader.get_buffer("average").copy_(self.vectors.detach().mean(0)[:, : self.columns])
        return reader.to(self.device).train().requires_grad_(True)

    def _named(self) -> list[tuple[str, Tensor]]:
        """Everything that learns, by name."""
        found = [(f"network.{name}", each) for name, each in self.network.named_parameters()]
        found = [] if self.spec.vectors_only else found
        if self.reader:
            found += [(f"reader.{name}", each) for name, each in self.reader.named_parameters()]
        return [*found, ("vectors", self.vectors)]

    def _identity(self) -> str:
        """Of what is learned, from what start and by what judge: a run with more steps goes on with it."""
        asked = json.dumps([self.names, {**asdict(self.spec), "steps": 0}])
        shown = [self.gallery.pixels] if self.gallery else []
        return digest(asked, [*self.paintings, *shown, *self.encoder.buffers(), *self.parameters])

    def learning_rate(self) -> float:
        """A short warm-up, then a cosine down to a hundredth."""
        warm = min(1.0, (self.step + 1) / 50)
        turn = math.cos(math.pi * min(self.step, self.spec.steps) / self.spec.steps)
        return self.spec.learning_rate * warm * (0.505 + 0.495 * turn)

    def advance(self, batch: Batch) -> TrainStep:
        """One optimizer step."""
        parts = self._parts(batch)
        for each in self.optimizer.param_groups:
            each["lr"] = self.learning_rate() * each["pace"]
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        steepness = torch.nn.utils.clip_grad_norm_(self.parameters, 10.0)
        self.optimizer.step()
        self._average_weights()
        self.step += 1
        found = {name: value.item() for name, value in parts.items()}
        if not math.isfinite(steepness.item() + sum(found.values())):
            raise DivergedError(
                f"training broke at step {self.step}: no finite loss; lower weights or learning rate"
            )
        return TrainStep(self.step, found)

    def _parts(self, batch: Batch) -> dict[str, Tensor]:
        side, (top, left) = self.spec.crop_px, batch.shift
        crops = batch.crops.to(self.device)
        frames = crops[..., :side, :side]
        first = frames[:, :3]
        vectors, targets, parts = self._styles(batch)
        moved = crop_asked_to_be_steady(self.step, len(self.names), len(first))
        second = crops[moved : moved + 1, :, top : top + side, left : left + side]
        grain = self.spec.motion_noise * torch.randn_like(second[:, :3])
        second = torch.cat([(second[:, :3] + grain).clamp(0, 1), as_shown(second[:, 3:])], 1)
        norm = LiveNorm(torch.cat([vectors, vectors[moved : moved + 1]]), self.prior)
        looks = torch.cat([frames, second]).contiguous(memory_format=torch.channels_last)
        with self._fast():
            painted, again = self.network(looks, norm).float().split([len(first), 1])
        ground = Tint.ground(first, self.prior.palette(vectors.detach()))(first)
        groups = [len(each) for each in (batch.own, batch.read) if each]
        parts |= self._wishes(first, ground, painted, targets, groups)
        steady = painted[moved : moved + 1, :, top:, left:] - again[..., : side - top, : side - left]
        parts["motion"] = self.spec.motion_weight * steady.square().mean()
        self._learn_population(norm)
        return parts

    def _fast(self) -> torch.autocast:
        """For networks alone: sums over a picture need all their bits."""
        return torch.autocast(self.device.partition(":")[0], torch.bfloat16, self.spec.precision == "bf16")

    def _styles(self, batch: Batch) -> tuple[Tensor, Targets, dict[str, Tensor]]:
        """Vectors and targets of the batch's styles, and how far the reader is from the known vectors."""
        own = self.vectors[list(batch.own)]
        targets = self.targets.pick(batch.own)
        if self.reader is None or self.gallery is None:
            return own, targets, {}
        shown = torch.cat([batch.close_ups, self.gallery.show(batch.read)]).to(self.device)
        known, read = self.reader(shown).split([len(own), len(batch.read)])
        pull = self.spec.reader_weight * (known - own[..., : self.columns].detach()).square().mean()
        read = torch.cat([read, palette_of(shown[len(own) :])], 2)
        return torch.cat([own, read]), targets.beside(self.gallery.targets.pick(batch.read)), {"reader": pull}

    def _wishes(
        self, source: Tensor, ground: Tensor, painted: Tensor, targets: Targets, groups: Sequence[int]
    ) -> dict[str, Tensor]:
        """The drawing and the light of the ground, the strokes and colours of the style."""
        spec = self.spec
        made = self._seen(painted, {**spec.style_layers, **spec.content_layers})
        with torch.no_grad():
            wanted = self._seen(ground, spec.content_layers)
            hunger = appetite(source)
        palette = losses.palette_loss(painted, targets.palettes, targets.directions)
        parts = {
            "content": spec.content_weight * content_wish(made, wanted, spec.content_layers),
            "style": spec.style_weight * style_wish(made, targets, spec, source, groups),
            "palette": spec.palette_weight * hunger * palette,
            "tone": spec.tone_weight * losses.tone_loss(painted, ground),
            "drawing": spec.drawing_weight * losses.drawing_loss(painted, ground),
            "lattice": spec.lattice_weight * losses.lattice(painted, CELL_PX),
            "smooth": spec.smooth_weight * losses.total_variation(painted),
        }
        return {name: value.mean() for name, value in parts.items()}

    def _seen(self, rgb: Tensor, layers: Mapping[str, float]) -> dict[str, Tensor]:
        with self._fast():
            return {name: each.float() for name, each in self.encoder(rgb, layers).items()}

    @torch.no_grad()
    def _learn_population(self, norm: LiveNorm) -> None:
        """Fold this step into the population statistics; those of a network that stays are kept."""
        if self.spec.vectors_only:
            return
        mean = torch.cat([mean.float().mean(0) for mean, _ in norm.moments])
        spread = torch.cat([mean.float().var(0, correction=0) for mean, _ in norm.moments])
        var = torch.cat([var.float().mean(0) for _, var in norm.moments]) + spread
        momentum = max(PRIOR_MOMENTUM, 1 / (self.step + 1))
        self.prior = replace(
            self.prior,
            mean=torch.lerp(self.prior.mean, mean, momentum),
            var=torch.lerp(self.prior.var, var, momentum),
        )

    @torch.no_grad()
    def _average_weights(self) -> None:
        momentum = max(AVERAGE_MOMENTUM, 1 / (self.step + 1))
        for average, parameter in zip(self.average, self.parameters, strict=True):
            average.lerp_(parameter.detach(), momentum)

    def finished_pack(self, cards: Mapping[str, Mapping[str, Any]], recipe: Mapping[str, Any]) -> StylePack:
        """The averaged weights as a pack."""
        average = {name: value.cpu() for (name, _), value in zip(self._named(), self.average, strict=True)}
        network = type(self.network)(**self.pack.network_arguments)
        network.load_state_dict({**self.network.state_dict(), **group(average, "network.")})
        reader = self.pack.reader
        described = {name: each for name, each in self.pack.described.items() if name in self.names}
        if self.reader is not None:
            reader = StyleReader(self.reader.channels)
            reader.load_state_dict({**self.reader.state_dict(), **group(average, "reader.")})
            reader.eval().requires_grad_(False)
            described = {
                name: reader.describe(as_read(picture))[0]
                for name, picture in zip(self.names, self.paintings, strict=True)
            }
        return replace(
            self.pack,
            network=network.eval().requires_grad_(False),
            prior=self.prior.to("cpu"),
            vectors=dict(zip(self.names, average["vectors"], strict=True)),
            reader=reader,
            described=described,
            cards=cards,
            recipe={**recipe, **asdict(self.spec), "steps": self.step},
        )

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs, for `torch.save`."""
        return {
            "identity": self.identity,
            "step": self.step,
            "parameters": {name: each.detach() for name, each in self._named()},
            "prior": (self.prior.mean, self.prior.var),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
        }

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state()` of the same run; ValueError if it is another's."""
        if state["identity"] != self.identity:
            raise ValueError("of other pictures, weights, start or loss network")
        self.step = state["step"]
        for name, each in self._named():
            each.copy_(state["parameters"][name])
        self.prior = NormPrior(self.prior.channels, *state["prior"]).to(self.device)
        self.average = [tensor.to(self.device, copy=True) for tensor in state["average"]]
        self.optimizer.load_state_dict(state["optimizer"])


def crop_asked_to_be_steady(step: int, styles: int, crops: int) -> int:
    """Which crop of a step is looked at twice: styles take turns, and each comes to each of its crops."""
    return step // styles % crops


def as_shown(canvas: Tensor) -> Tensor:
    """A canvas (N,C,P,P) that moved by parts of a cell, as a film shows it: mixed, cell by cell."""
    return spread(F.avg_pool2d(canvas, CELL_PX))


def train(trainer: Trainer, contents: Sequence[Tensor]) -> Iterator[TrainStep]:
    """Advance to the spec's last step, yielding after each."""
    batches = Batches(trainer.spec, trainer.paintings, contents, trainer.gallery)
    while trainer.step < trainer.spec.steps:
        yield trainer.advance(batches.draw(trainer.step))
