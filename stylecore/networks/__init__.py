"""Feed-forward style networks, one per file; `NETWORKS` names the ones a style pack may ask for."""

from stylecore.networks.identity import Identity
from stylecore.networks.painter import Painter

NETWORKS = {"painter": Painter, "identity": Identity}
