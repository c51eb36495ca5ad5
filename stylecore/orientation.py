"""How a picture is to be held: stored as the camera wrote it, painted the way it is seen."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to hold a picture: transposed first, then mirrored across and down."""

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False

    def upright(self, stored: Tensor) -> Tensor:
        """(...,H,W) as it is seen."""
        seen = stored.transpose(-1, -2) if self.transposed else stored
        return seen.flip(self._axes()) if self._axes() else seen

    def stored(self, upright: Tensor) -> Tensor:
        """(...,H,W) as it lies in the file: the way back."""
        turned = upright.flip(self._axes()) if self._axes() else upright
        return turned.transpose(-1, -2) if self.transposed else turned

    def upright_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns as they are seen."""
        return (width, height) if self.transposed else (height, width)

    def upright_move(self, down: float, right: float) -> tuple[float, float]:
        """A motion of the stored picture as it is seen."""
        if self.transposed:
            down, right = right, down
        return -down if self.mirrored_y else down, -right if self.mirrored_x else right

    def _axes(self) -> list[int]:
        return [axis for axis, mirrored in ((-1, self.mirrored_x), (-2, self.mirrored_y)) if mirrored]


UPRIGHT = Orientation()
