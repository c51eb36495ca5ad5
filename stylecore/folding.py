"""Frozen statistics folded into the convolutions before them: normalization costs nothing any more.

y = (W * x + b) gain + bias = (W gain) * x + (b gain + bias): exact, but for the order of rounding.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stylecore.networks import StyleNetwork
from stylecore.networks.johnson import Johnson
from stylecore.networks.painter import Painter


@torch.no_grad()
def folded(
    network: StyleNetwork, constants: Sequence[tuple[Tensor, Tensor]], dtype: torch.dtype = torch.float32
) -> StyleNetwork:
    """A copy of a network with a survey's (gain, bias) of every layer inside, to be run with `FoldedNorm`."""
    if not constants:
        return network
    made = copy.deepcopy(network)
    assert isinstance(made, Painter | Johnson)  # the networks that normalize
    for conv, (gain, bias) in zip(made.normalized, constants, strict=True):
        before = 0.0 if conv.bias is None else conv.bias * gain
        conv.weight.mul_(gain[:, None, None, None])
        conv.bias = nn.Parameter(before + bias, requires_grad=False)
    made.settle()
    return made.to(dtype)
