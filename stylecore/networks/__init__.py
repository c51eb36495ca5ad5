"""Feed-forward style networks, one per file; `NETWORKS` names the ones a style pack may ask for."""

from collections.abc import Callable

from stylecore.networks.identity import Identity
from stylecore.networks.painter import Painter

StyleNetwork = Painter | Identity
NETWORKS: dict[str, Callable[..., StyleNetwork]] = {"painter": Painter, "identity": Identity}
