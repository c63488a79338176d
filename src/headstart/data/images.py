"""One image, however it is stored, as upright 8-bit RGB."""

from __future__ import annotations

import io
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headstart.core.errors import DataError
from headstart.core.types import AnyArray

MAX_PIXELS = 25_000_000
"""Images with more pixels than this are refused before they are decoded."""

FORMATS = (
    *("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "ICO"),
    *("JPEG2000", "AVIF"),
)
"""The formats that are read. EPS and PDF are not: reading them runs another program."""

SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif"),
        *(".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".ico", ".jp2", ".j2k", ".jpx", ".avif"),
    )
)
"""File name endings that these formats go by, in lower case."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
_NEXT = (SyntaxError, IndexError, TypeError, KeyError, EOFError, ValueError, OSError, struct.error)
_RANGES = (255, 4095, 65535)
# Pillow warns about odd headers; silencing a warning is not safe in threads unless one at a time.
_HEADER = threading.Lock()


@dataclass(frozen=True)
class ImageFacts:
    """What the header of an image says, without decoding it.

    Parameters
    ----------
    width, height : int
        In pixels, before any rotation.
    mode : str
        Pillow's name of the pixel type: "RGB", "L", "P", "CMYK", "I;16", ...
    format : str
        "JPEG", "PNG", ...; "array" or "memory" for what is no file.
    notes : tuple of str
        What reading the image leaves out or changes in a way that a person should know.
    """

    width: int
    height: int
    mode: str
    format: str
    notes: tuple[str, ...] = ()


def read_image(item: Any, *, max_side: int | None = None) -> Image.Image:
    """Return an image as upright RGB, 8 bits a channel.

    The EXIF rotation is applied; transparency is laid on white; of an animation or a file with
    several pages the first frame is taken; CMYK, palette, grey and 1-bit become RGB; colour
    profiles are not applied. Deep pixels are scaled by a fixed range, not by the picture's own
    contrast: integers by the smallest of the 8-, 12- and 16-bit ranges that holds their largest
    value (so 12-bit scientific images in 16-bit files come out as bright as they are), floats by
    255 where they lie within 0..1 and as they are within 0..255. Only values outside all of these
    (negative, or larger) are stretched from their minimum to their maximum.

    Parameters
    ----------
    item : path, bytes, PIL image or ndarray
        A path (``str`` or ``Path``), the bytes of an image file, a PIL image, or an array of shape
        (H, W) or (H, W, 1 | 3 | 4) of bool, integers or floats.
    max_side : int, optional
        How many pixels of the shorter side the caller needs. JPEG files are then decoded at a
        half, quarter or eighth of their size where that leaves at least ``max_side`` pixels on
        the shorter side (much faster); other formats come at full size.

    Returns
    -------
    PIL.Image.Image
        Mode "RGB".

    Raises
    ------
    DataError
        The item cannot be read as an image: missing, damaged, truncated, of an unknown format, or
        of more than 25 megapixels (judged from the header, before decoding).

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.data import read_image
    >>> read_image(np.full((2, 3), 4095, np.uint16)).getpixel((0, 0))
    (255, 255, 255)
    """
    where = _where(item)
    if isinstance(item, np.ndarray):
        return _from_array(item, where)
    if isinstance(item, Image.Image):
        return _decode(item, where, max_side=None)
    with _opened(item, where) as image:
        return _decode(image, where, max_side=max_side)


def image_facts(item: Any) -> ImageFacts:
    """Return size, mode, format and notes of an image from its header.

    Parameters
    ----------
    item : path, bytes, PIL image or ndarray
        As for `read_image`.

    Raises
    ------
    DataError
        The header cannot be read, or promises more than 25 megapixels.
    """
    where = _where(item)
    if isinstance(item, np.ndarray):
        _check_array(item, where)
        return ImageFacts(item.shape[1], item.shape[0], str(item.dtype), "array")
    if isinstance(item, Image.Image):
        return _facts(item, where)
    with _opened(item, where) as image:
        return _facts(image, where)


def image_notes(item: Any) -> tuple[str, ...]:
    """Return what `read_image` leaves out or changes: "animated: the first frame is used", ..."""
    return image_facts(item).notes


def _where(item: Any) -> str:
    if isinstance(item, str | Path):
        return str(item)
    if isinstance(item, Image.Image):
        return str(getattr(item, "filename", "") or "image in memory")
    if isinstance(item, np.ndarray):
        return f"array of shape {item.shape}"
    return "image in memory"


@contextmanager
def _opened(item: Any, where: str) -> Iterator[Image.Image]:
    """Open a path or bytes up to the header; what fails inside is the file's fault."""
    if not isinstance(item, str | Path | bytes | bytearray | memoryview):
        raise DataError(
            "this is not an image",
            got=type(item).__name__,
            allowed="a path, bytes, a PIL image or an array of shape (H, W[, 1|3|4])",
        )
    try:
        opened = open(item, "rb") if isinstance(item, str | Path) else io.BytesIO(item)  # noqa: SIM115, PTH123
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"cannot open the image: {reason}", where=where) from None
    with opened as file:
        try:
            with _header_quietly():
                image = _header(file, where)
        except DataError:
            raise
        except Exception as error:  # decoders raise whatever a damaged file makes them meet
            raise DataError(f"the image is damaged: {_reason(error)}", where=where) from None
        if image is None:
            raise DataError(
                "this is not an image of a known format",
                where=where,
                allowed=", ".join(FORMATS),
            )
        yield image


@contextmanager
def _header_quietly() -> Iterator[None]:
    with _HEADER, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _header(file: Any, where: str) -> Image.Image | None:
    """Open with the plugins themselves: `Image.open` judges bombs by a limit that is global."""
    Image.preinit()
    if any(name not in Image.OPEN for name in FORMATS):
        Image.init()
    start = file.read(16)
    if not start:
        raise DataError("the file is empty", where=where)
    failure: Exception | None = None
    for name in FORMATS:
        factory, accept = Image.OPEN.get(name, (None, None))
        if factory is None or accept is None or accept(start) is not True:
            continue
        file.seek(0)
        try:
            return factory(file, "")
        except _NEXT as error:
            failure = error
    if failure is not None:
        raise failure
    return None


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _cap(width: int, height: int, where: str) -> None:
    if width * height > MAX_PIXELS:
        raise DataError(
            f"the image is too large: {width} x {height} is {width * height / 1e6:.0f} megapixels",
            where=where,
            allowed=f"at most {MAX_PIXELS // 10**6} megapixels",
            hint="shrink it first",
        )
    if width < 1 or height < 1:
        raise DataError(f"the image has no pixels: {width} x {height}", where=where)


def _facts(image: Image.Image, where: str) -> ImageFacts:
    _cap(*image.size, where)
    name = image.format or "memory"
    notes = []
    try:
        with _header_quietly():
            several = bool(getattr(image, "is_animated", False)) and name != "MPO"
    except Exception:  # the first frame may be sound though what follows it is not
        several = False
    if several:
        word = "several pages: the first" if name == "TIFF" else "animated: the first frame"
        notes.append(f"{word} is used")
    return ImageFacts(image.width, image.height, image.mode, name, tuple(notes))


def _decode(image: Image.Image, where: str, *, max_side: int | None) -> Image.Image:
    _cap(*image.size, where)
    try:
        if max_side is not None and image.format in ("JPEG", "MPO"):
            image.draft(None, (max_side, max_side))
        # TIFF reads its tags again while it decodes, and warns again
        with _header_quietly() if image.format == "TIFF" else nullcontext():
            image.load()
        _cap(*image.size, where)
        turn = _TURNS.get(_orientation(image))
        flat = _to_rgb(image, where)
        return flat.transpose(turn) if turn is not None else flat
    except DataError:
        raise
    except Exception as error:  # decoders raise whatever a damaged file makes them meet
        raise DataError(f"the image is damaged: {_reason(error)}", where=where) from None


def _orientation(image: Image.Image) -> int:
    try:
        with _header_quietly():
            return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block leaves the picture itself readable
        return 1


def _to_rgb(image: Image.Image, where: str) -> Image.Image:
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        deep = np.asarray(image)
        return Image.fromarray(_eight_bits(deep, where)).convert("RGB")
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        above = image.convert("LA").convert("RGBA") if mode == "La" else image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, above).convert("RGB")
    return image.copy() if mode == "RGB" else image.convert("RGB")


def _check_array(array: AnyArray, where: str) -> None:
    fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if not fits or array.dtype.kind not in "buif":
        swapped = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        raise DataError(
            "this array is not an image",
            where=where,
            got=f"shape {array.shape}, type {array.dtype}",
            allowed="shape (H, W) or (H, W, 1|3|4) of bool, integers or floats",
            hint="channels come last: transpose(1, 2, 0)" if swapped else None,
        )
    _cap(array.shape[1], array.shape[0], where)


def _from_array(array: AnyArray, where: str) -> Image.Image:
    _check_array(array, where)
    small = _eight_bits(array, where)
    if small.ndim == 3 and small.shape[2] == 1:
        small = small[:, :, 0]
    return _to_rgb(Image.fromarray(np.ascontiguousarray(small)), where)


def _eight_bits(array: AnyArray, where: str) -> AnyArray:
    """Scale to uint8 by the range the values come from; see `read_image`."""
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise DataError("the image has pixels that are not finite numbers", where=where)
    low, high = float(values.min()), float(values.max())
    if array.dtype.kind == "f":
        top = 1.0 if high <= 1 else 255.0
    else:
        top = float(next((limit for limit in _RANGES if high <= limit), _RANGES[-1]))
    if low < 0 or high > top:
        low, top = low, max(high - low, 1e-12)
    else:
        low = 0.0
    return np.rint((values - low) * (255.0 / top)).astype(np.uint8)
