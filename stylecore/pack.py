"""Style packs: one network, its population statistics, and any number of styles as vectors.

A pack is a safetensors file. Tensors: `network.*` in the precision its network asks for, `prior.mean` and
`prior.var`, `reader.*` and `described.NAME` if it can read pictures, `style.NAME` (2, columns): scale, then
shift, then a palette. Metadata: `stylereel`, one JSON object with the format version, the network's name and
arguments, and a card per style saying where it came from.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from stylecore.digest import digest
from stylecore.errors import PackError
from stylecore.networks import NETWORKS, StyleNetwork
from stylecore.networks.painter import Painter
from stylecore.networks.reader import StyleReader
from stylecore.normalize import NormPrior
from stylecore.palette import GREY, PALETTE_COLUMNS

FORMAT_VERSION = 2


@dataclass(frozen=True)
class StylePack:
    """A network in fp32 with its styles; `cards` says of each style what was painted and how trained."""

    network: StyleNetwork
    network_name: str
    network_arguments: Mapping[str, int]
    prior: NormPrior
    vectors: Mapping[str, Tensor]
    """Style name -> (2, sum of channels + palette columns): scale, then shift; the style's palette last."""
    cards: Mapping[str, Mapping[str, Any]]
    recipe: Mapping[str, Any]
    reader: StyleReader | None = None
    """Says the vector of any style picture, if the pack has learned to."""
    described: Mapping[str, Tensor] = field(default_factory=dict)
    """Style name -> its painting as the reader describes it: what other pictures are likened to."""

    @cached_property
    def network_digest(self) -> str:
        """Identity of the network and its population: styles of equal ones can be mixed."""
        arguments = json.dumps([self.network_name, dict(self.network_arguments)])
        state = self.network.state_dict()
        return digest(arguments, [*(state[key] for key in sorted(state)), self.prior.mean, self.prior.var])

    def style_digest(self, name: str) -> str:
        """Identity of one style: network weights, statistics and its own vectors; not its card."""
        return digest(self.network_digest, [self.vectors[name]])


def save_pack(pack: StylePack, path: Path) -> None:
    """Write the pack whole or not at all."""
    stored = pack.network.stored_dtype
    tensors = {f"network.{key}": value.to(stored) for key, value in pack.network.state_dict().items()}
    tensors |= {"prior.mean": pack.prior.mean.float(), "prior.var": pack.prior.var.float()}
    if pack.reader:
        tensors |= {f"reader.{key}": value.half() for key, value in pack.reader.state_dict().items()}
    tensors |= {f"described.{name}": description.float() for name, description in pack.described.items()}
    tensors |= {f"style.{name}": vector.float() for name, vector in pack.vectors.items()}
    head = {
        "version": FORMAT_VERSION,
        "network": pack.network_name,
        "arguments": dict(pack.network_arguments),
        "cards": {name: dict(card) for name, card in pack.cards.items()},
        "recipe": dict(pack.recipe),
    }
    tensors = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    try:
        _refuse_broken(tensors)
    except ValueError as err:
        raise PackError(f"{path}: not written, {err}") from err
    data = save(tensors, metadata={"stylereel": json.dumps(head)})
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_pack(path: Path) -> StylePack:
    """Read a pack; every fault is a PackError that names the file."""
    try:
        with safe_open(path, framework="pt") as opened:
            head = json.loads((opened.metadata() or {}).get("stylereel", "null"))
            _refuse_others(path, head)
            tensors = {key: opened.get_tensor(key).float() for key in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, RuntimeError) as err:
        raise PackError(f"{path}: not a style pack ({err})") from err
    try:
        return _build(head, tensors)
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as err:
        raise PackError(f"{path}: not a whole style pack ({type(err).__name__}: {err})") from err


def _refuse_others(path: Path, head: object) -> None:
    """Before any tensor is read: other people's files can be larger than memory."""
    found = head.get("version") if isinstance(head, dict) else None
    if found != FORMAT_VERSION:
        raise PackError(f"{path}: style pack version {found}; this program reads version {FORMAT_VERSION}")


def _build(head: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> StylePack:
    """The pack, once every name, shape and number is as it must be."""
    _refuse_broken(tensors)
    network = _network(head, group(tensors, "network."))
    prior = NormPrior(network.norm_channels, tensors["prior.mean"], tensors["prior.var"])
    vectors = group(tensors, "style.")
    _check_columns(network, prior, vectors)
    return StylePack(
        network,
        head["network"],
        {**head["arguments"]},
        prior,
        vectors,
        {name: {**card} for name, card in head["cards"].items()},
        {**head["recipe"]},
        _reader(network, group(tensors, "reader.")),
        group(tensors, "described."),
    )


def _refuse_broken(tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name} holds NaN or infinity: the training broke; take an earlier checkpoint")


def _network(head: Mapping[str, Any], weights: Mapping[str, Tensor]) -> StyleNetwork:
    if head["network"] not in NETWORKS:
        raise ValueError(f"needs network {head['network']!r}; known: {', '.join(NETWORKS)}")
    make = NETWORKS[head["network"]]
    with torch.device("meta"):  # a width of a million is compared, not built
        expected = make(**head["arguments"]).state_dict()
    if _shapes(expected) != _shapes(weights):
        raise ValueError(f"its weights do not fit its network {head['network']!r}")
    network = make(**head["arguments"])
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _check_columns(network: StyleNetwork, prior: NormPrior, vectors: Mapping[str, Tensor]) -> None:
    """Statistics of every channel, and of each style a scale and a shift; a painter's end in a palette."""
    total = sum(network.norm_channels)
    if prior.mean.shape != (total,) or prior.var.shape != (total,) or (prior.var < 0).any():
        raise ValueError(f"expected means and variances of {total} channels")
    full = total + PALETTE_COLUMNS
    allowed = {(2, full)} if isinstance(network, Painter) else {(2, full), (2, total)}
    if not vectors or not {tuple(vector.shape) for vector in vectors.values()} <= allowed:
        raise ValueError(f"expected styles of 2 x {full} numbers")


def _reader(network: StyleNetwork, tensors: Mapping[str, Tensor]) -> StyleReader | None:
    if not tensors:
        return None
    reader = StyleReader(sum(network.norm_channels))
    reader.load_state_dict(tensors)
    return reader.eval().requires_grad_(False)


def group(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, under the rest of their names."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def blank_pack(network_name: str, names: list[str], seed: int, width: int = 0) -> StylePack:
    """An untrained pack: where training starts, and a small real network for tests."""
    torch.manual_seed(seed)
    arguments = {"width": width} if width else {}
    network = NETWORKS[network_name](**arguments)
    channels = network.norm_channels
    plain = torch.stack([torch.ones(sum(channels)), torch.zeros(sum(channels))])
    vector = torch.cat([plain, GREY], 1)
    return StylePack(
        network,
        network_name,
        arguments,
        NormPrior.neutral(channels),
        {name: vector.clone() for name in names},
        {name: {} for name in names},
        {},
    )
