"""Films smaller than a thumbnail are signed all the same."""

import numpy as np
import pytest

from pipelines.media.shots import change, sign


@pytest.mark.parametrize("size", [(16, 16), (17, 200), (200, 17), (18, 32)])
def test_a_small_frame_has_a_finite_signature(size):
    dark, light = (np.full(size, value, np.uint8) for value in (20, 200))
    assert sign(dark).mean == 20 and sign(light).contrast == 0
    assert change(sign(dark), sign(light)) > 100 and change(sign(dark), sign(dark)) == 0
