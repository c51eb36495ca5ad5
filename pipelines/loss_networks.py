"""Loss networks by reference: the one in the box, torchvision's, or a file anywhere that fsspec reaches."""

from pipelines.environment import cache_folder
from pipelines.errors import UsageError
from pipelines.places import absolute_url
from pipelines.sources import fetch_source
from stylecore.encoders import (
    LAYOUTS,
    PUBLISHED,
    Encoder,
    bundled_encoder,
    load_encoder,
    published_encoder,
)


def find_encoder(reference: str, sha256: str | None = None, pooling: str = "max") -> Encoder:
    """`bundled`, `vgg16`, `vgg19`, or a safetensors file by path or URL, checked against its sha256.

    LAYOUT=FILE where its names do not tell which network it is.
    """
    if sha256 and reference in ("bundled", *PUBLISHED):
        raise UsageError(f"--sha256 is of a loss network in a file; {reference} is known by name")
    if reference == "bundled":
        return bundled_encoder(pooling)
    if reference in PUBLISHED:
        return published_encoder(reference, pooling)
    path = fetch_source(absolute_url(file_of(reference)), cache_folder() / "loss-networks")
    return load_encoder(path, sha256, _layout_of(reference), pooling)


def file_of(reference: str) -> str:
    """The file that a reference names, without its layout."""
    layout = _layout_of(reference)
    return reference.removeprefix(f"{layout}=") if layout else reference


def _layout_of(reference: str) -> str | None:
    layout, named, _ = reference.partition("=")
    return layout if named and layout in LAYOUTS else None
