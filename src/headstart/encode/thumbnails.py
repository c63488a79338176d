"""Images to small squares of pixels, for models that learn from pixels alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart import parallel
from headstart.core.errors import OptionError
from headstart.core.types import SILENT, AnyArray, Reporter
from headstart.encode.output import allocate


def pixels(items: Any, *, side: int = 64, reporter: Reporter = SILENT) -> AnyArray:
    """Return images as small colour squares.

    The shorter side is resized to ``side`` (bicubic; small images are enlarged) and the centre
    square kept, so that shapes are not distorted.

    Parameters
    ----------
    items : sequence of length n
        Paths, PIL images or (H, W[, C]) uint8 arrays.
    side : int
        Width and height in pixels, 1 to 1024.
    reporter : Reporter
        Told the progress.

    Returns
    -------
    ndarray of shape (n, side, side, 3), uint8
        Mapped from a temporary file above 64 MB.

    Raises
    ------
    DataError
        If an image cannot be read; names its position.
    OptionError
        If ``side`` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart import encode
    >>> encode.pixels([np.zeros((8, 8), np.uint8)], side=32).shape
    (1, 32, 32, 3)
    """
    if not 1 <= side <= 1024:
        raise OptionError("pixels out of range", where="side", got=side, allowed="1 to 1024")
    from headstart.encode.crop import small_square
    from headstart.encode.image import read_at

    def small(pair: tuple[int, Any]) -> AnyArray:
        image = read_at(pair[1], pair[0], max_side=2 * side)
        return small_square(image, side)

    n = len(items)
    array = allocate((n, side, side, 3), np.uint8)
    for i, square in enumerate(parallel.map(small, enumerate(items))):
        array[i] = square
        reporter.progress("reading images", i + 1, n, "images")
    return array
