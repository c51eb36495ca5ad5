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

Constants = Sequence[tuple[Tensor, Tensor]]
"""A survey's (gain, bias) of every layer."""


class Folding:
    """A network, and a copy of it that takes in one survey after another.

    Along key frames every frame has constants of its own: they are written where the last ones were.
    """

    def __init__(self, network: StyleNetwork) -> None:
        self.network = network
        self._exact: StyleNetwork | None = None
        self._rounded: dict[tuple[torch.dtype, int], StyleNetwork] = {}

    def folded(
        self, constants: Constants, dtype: torch.dtype = torch.float32, exact_layers: int = 0
    ) -> StyleNetwork:
        """The copy with these constants inside, for `FoldedNorm`; good until the next is asked for.

        Kernels are rounded to `dtype`, but for those of the first `exact_layers`.
        """
        if not constants:
            return self.network
        # Memory that is to be written again must not be of inference mode, whoever asks.
        with torch.inference_mode(False), torch.no_grad():
            exact = self._filled(constants)
            return exact if dtype == torch.float32 else self._rounded_to(dtype, exact_layers, exact)

    def _filled(self, constants: Constants) -> StyleNetwork:
        """The statistics times the network's own weights, in the copy that is exact."""
        plain = self.network
        if self._exact is None:
            self._exact = _with_biases(copy.deepcopy(plain))
        made = self._exact
        assert isinstance(plain, Painter | Johnson) and isinstance(made, Painter | Johnson)
        for conv, own, (gain, bias) in zip(made.normalized, plain.normalized, constants, strict=True):
            conv.weight.copy_(own.weight * gain[:, None, None, None])
            assert conv.bias is not None, "the copy has one everywhere"
            conv.bias.copy_(bias if own.bias is None else own.bias * gain + bias)
        made.settle()
        return made

    def _rounded_to(self, dtype: torch.dtype, exact_layers: int, exact: StyleNetwork) -> StyleNetwork:
        """The same in fewer bits, rounded after everything is composed."""
        kind = dtype, exact_layers
        if kind not in self._rounded:
            self._rounded[kind] = _with_kernels(copy.deepcopy(exact), dtype, exact_layers)
        made = self._rounded[kind]
        for rounded, full in zip(made.parameters(), exact.parameters(), strict=True):
            rounded.copy_(full)
        return made


def _with_biases(network: StyleNetwork) -> StyleNetwork:
    for conv in network.normalized:
        if conv.bias is None:
            conv.bias = nn.Parameter(conv.weight.new_zeros(len(conv.weight)), requires_grad=False)
    return network


def _with_kernels(network: StyleNetwork, dtype: torch.dtype, exact_layers: int) -> StyleNetwork:
    """Kernels in fewer bits after the first layers; biases keep theirs."""
    kept = {id(conv.weight) for conv in network.normalized[:exact_layers]}
    for parameter in network.parameters():
        if parameter.ndim == 4 and id(parameter) not in kept:
            parameter.data = parameter.data.to(dtype)
    return network
