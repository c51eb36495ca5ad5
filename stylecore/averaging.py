"""One pack out of several that were trained from one start: the mean of their weights.

Runs that began alike end in one valley of the loss, and its middle is often better than its rims (Wortsman
2022, *Model soups*): half-way between a judge that wants bold strokes and one that wants faces.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from stylecore.errors import PackError
from stylecore.pack import StylePack


def average(packs: Sequence[StylePack]) -> StylePack:
    """The mean of every number of networks and styles; cards and what reads pictures are the first's."""
    first = packs[0]
    for other in packs[1:]:
        if _form(other) != _form(first):
            raise PackError(f"a pack of {_form(first)} and one of {_form(other)} have no mean")
    network = type(first.network)(**first.network_arguments)
    network.load_state_dict(_means([pack.network.state_dict() for pack in packs]))
    priors = _means([{"mean": pack.prior.mean, "var": pack.prior.var} for pack in packs])
    return replace(
        first,
        network=network.eval().requires_grad_(False),
        prior=replace(first.prior, mean=priors["mean"], var=priors["var"]),
        vectors=_means([pack.vectors for pack in packs]),
        recipe={**first.recipe, "mean_of": [dict(pack.recipe) for pack in packs]},
    )


def _form(pack: StylePack) -> str:
    """What must be alike."""
    arguments = [f"{name} {value}" for name, value in sorted(pack.network_arguments.items())]
    return f"{' '.join([pack.network_name, *arguments])} with {', '.join(sorted(pack.vectors))}"


def _means(several: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([each[name] for each in several]).mean(0) for name in several[0]}
