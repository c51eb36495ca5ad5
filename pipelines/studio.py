"""What is kept of a painting while it is made: snapshots, losses, an animation, and the painting itself."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from PIL import Image
from torch import Tensor

from pipelines.errors import StorageError
from pipelines.media.animation import write_animation
from pipelines.storage import split_url
from stylecore.criterion import STYLE_LAYERS
from stylecore.encoders import Encoder
from stylecore.explain import explain
from stylecore.images import to_image
from stylecore.optimize import Iterate
from stylecore.plot import draw_losses

_ANIMATED = 60
"""Pictures in an animation, about."""


class Studio:
    """Keeps what a painting's steps leave behind; everything is published whole or not at all."""

    def __init__(self, output: str, snapshot_steps: int = 0, animated: bool = False) -> None:
        self.output, self.snapshot_steps, self.animated = output, snapshot_steps, animated
        self.history: list[dict[str, float]] = []
        self.frames: list[Image.Image] = []
        self.painting: Image.Image | None = None

    @property
    def losses(self) -> dict[str, float]:
        """By name, as the last step found them."""
        return {name: round(value, 6) for name, value in self.history[-1].items()} if self.history else {}

    def keep_still(self, picture: Tensor) -> None:
        """A painting that was made at once."""
        self.painting = to_image(picture)

    def keep(self, each: Iterate) -> None:
        """A step: its losses, a snapshot if it is time for one, a frame of the animation."""
        self.history.append(dict(each.losses))
        self.painting = to_image(each.picture)
        if self.snapshot_steps and each.step % self.snapshot_steps == 0:
            place = PurePosixPath(self.output)
            publish_picture(
                self.painting, f"{self.output.removesuffix(place.name)}{place.stem}-{each.step:04d}.png"
            )
        if self.animated and (each.step == each.steps or each.step % max(1, each.steps // _ANIMATED) == 0):
            self.frames.append(self.painting)

    def publish(self) -> None:
        """Put the painting in its place."""
        assert self.painting is not None, "something has been painted"
        publish_picture(self.painting, self.output)

    def animate(self, url: str) -> None:
        """Write the animation; coarse scales are shown as large as the painting."""
        if not self.frames:
            return
        size = self.frames[-1].size
        frames = [each.resize(size, Image.Resampling.BICUBIC) for each in self.frames]
        _publish(lambda path: write_animation(frames, path), url)

    def plot_losses(self, url: str) -> None:
        """Write the losses of every step as a picture."""
        if self.history:
            publish_picture(draw_losses(self.history), url)

    def show_features(self, picture: Tensor, encoder: Encoder, folder: str) -> None:
        """Write what the loss network sees in a picture: maps and Gram matrix of each layer."""
        layers = [name for name in STYLE_LAYERS if name in encoder.layers]
        for name, maps, gram in explain(picture, encoder, layers):
            publish_picture(maps, f"{folder}/{name}-maps.png")
            publish_picture(gram, f"{folder}/{name}-gram.png")


def publish_picture(picture: Image.Image, url: str) -> None:
    """Write a picture of the kind its name says, whole or not at all."""
    _publish(lambda path: picture.save(path, quality=95), url)


def _publish(write: Callable[[Path], None], url: str) -> None:
    store, name = split_url(url)
    with TemporaryDirectory(prefix="stylereel-") as scratch:
        made = Path(scratch) / name
        try:
            write(made)
        except OSError as err:
            raise StorageError(f"{url}: cannot be written ({err})") from err
        store.publish(made, name)
