"""Loss networks by reference: the one in the box, torchvision's, or a file anywhere that fsspec reaches."""

from pipelines.environment import cache_folder
from pipelines.storage import absolute_url, fetch_source
from stylecore.encoders import PUBLISHED, Encoder, bundled_encoder, load_encoder, published_encoder


def find_encoder(reference: str, sha256: str | None = None, pooling: str = "max") -> Encoder:
    """`bundled`, `vgg16`, `vgg19`, or a safetensors file by path or URL, checked against its sha256."""
    if reference == "bundled":
        return bundled_encoder(pooling)
    if reference in PUBLISHED:
        return published_encoder(reference, pooling)
    path = fetch_source(absolute_url(reference), cache_folder() / "loss-networks")
    return load_encoder(path, sha256, pooling=pooling)
