"""Items as strategies without a source take them: small pictures, described recordings, as is."""

from __future__ import annotations

from typing import Any

from headstart.core.types import SILENT, Modality, Reporter

SIDE = 64


def plain_inputs(
    items: Any, modality: Modality, *, side: int = SIDE, reporter: Reporter = SILENT
) -> Any:
    """Return what a strategy without a source is fitted on, and predicts.

    Parameters
    ----------
    items : sequence of length n, or DataFrame
    modality : {"image", "text", "audio", "table"}
    side : int
        Pixels of the small pictures.
    reporter : Reporter

    Returns
    -------
    ndarray or items
        Images: uint8 of shape (n, side, side, 3). Recordings: float32 of shape (n, 2561), see
        `headstart.strategies.mel_statistics`. Texts and tables: the items themselves.

    Raises
    ------
    DataError
        An item cannot be read.

    Examples
    --------
    >>> plain_inputs(["a text"], "text")
    ['a text']
    """
    if modality == "image":
        from headstart import encode

        return encode.pixels(items, side=side, reporter=reporter)
    if modality == "audio":
        from headstart import encode
        from headstart.strategies import mel_statistics as mel

        return encode.heard(
            items,
            mel.describe,
            width=mel.WIDTH,
            rate=mel.RATE,
            seconds=mel.SECONDS,
            most=mel.MOST,
            reporter=reporter,
        )
    return items
