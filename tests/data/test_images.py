"""Every way an image can be stored, and every way a file can be broken."""

import io
import random
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart import parallel
from headstart.core.errors import DataError
from headstart.data.content import content_hash
from headstart.data.images import (
    MAX_PIXELS,
    image_facts,
    image_notes,
    read_image,
)


def photo(width=64, height=48, seed=0):
    """Return smooth random colours, as a photograph has."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(item, **options):
    image = read_image(item, **options)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP", "ICO"])
def test_lossless_formats_give_the_pixels_back(kind, tmp_path):
    options = {"WEBP": {"lossless": True}, "ICO": {"sizes": [(64, 48)]}}.get(kind, {})
    data = encoded(photo(), kind, **options)
    path = tmp_path / "photo.bin"
    path.write_bytes(data)
    assert np.array_equal(pixels(path), np.asarray(photo()))
    assert np.array_equal(pixels(str(path)), pixels(data))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photo(), "JPEG", exif=exif, quality=95)
    from PIL import ImageOps

    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    assert np.array_equal(pixels(data), np.asarray(expected))


def test_a_damaged_exif_block_leaves_the_picture_readable():
    exif = b"Exif\0\0II*\0\xff\xff\xff\x7f"
    assert read_image(encoded(photo(), "JPEG", exif=exif)).size == (64, 48)


def test_cmyk():
    data = encoded(photo().convert("CMYK"), "JPEG", quality=95)
    assert np.abs(pixels(data) - np.asarray(photo()).astype(int)).mean() < 6


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "RGBA"])
def test_modes_agree_with_pillow_where_all_is_opaque(mode):
    image = photo().convert(mode)
    assert np.array_equal(pixels(encoded(image, "PNG")), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_laid_on_white(mode):
    image = photo().convert(mode)
    image.putalpha(0)
    assert (pixels(encoded(image, "PNG")) == 255).all()
    image.putalpha(128)
    opaque = np.asarray(photo().convert(mode).convert("RGB")).astype(float)
    expected = opaque * 128 / 255 + 127
    assert np.abs(pixels(encoded(image, "PNG")) - expected).max() <= 1


def test_transparency_of_palette_and_grey_is_laid_on_white():
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    assert pixels(encoded(palette, "PNG", transparency=0)).tolist() == [[[255] * 3, [40, 50, 60]]]
    assert pixels(encoded(palette, "PNG", transparency=b"\0\xff")).tolist() == [
        [[255] * 3, [40, 50, 60]]
    ]
    grey = Image.new("L", (1, 1), 7)
    assert pixels(encoded(grey, "PNG", transparency=7)).tolist() == [[[255] * 3]]


@pytest.mark.parametrize(
    ("top", "kind"), [(65535, "PNG"), (65535, "TIFF"), (4095, "PNG"), (4095, "TIFF")]
)
def test_deep_grey_files_are_scaled_by_their_range(top, kind):
    ramp = np.linspace(0, top, 256).round().astype(np.uint16).reshape(16, 16)
    data = encoded(Image.fromarray(ramp), kind)
    assert np.array_equal(pixels(data)[..., 0].ravel(), np.rint(ramp.ravel() * 255.0 / top))


def test_deep_arrays():
    assert pixels(np.array([[0, 255]], np.uint16))[0, :, 0].tolist() == [0, 255]
    assert pixels(np.array([[0, 4095]], np.int64))[0, :, 0].tolist() == [0, 255]
    assert pixels(np.array([[0.0, 0.5, 1.0]]))[0, :, 0].tolist() == [0, 128, 255]
    assert pixels(np.array([[0.0, 200.0]]))[0, :, 0].tolist() == [0, 200]
    assert pixels(np.array([[-1.0, 0.0, 1.0]]))[0, :, 0].tolist() == [0, 128, 255]
    assert pixels(np.array([[-5, 70000]]))[0, :, 0].tolist() == [0, 255]
    assert pixels(np.array([[True, False]]))[0, :, 0].tolist() == [255, 0]
    assert pixels(np.array([[-3.0, -3.0]]))[0, :, 0].tolist() == [0, 0]


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1), (5, 4, 3), (5, 4, 4)])
def test_array_shapes(shape):
    array = np.full(shape, 100, np.uint8)
    if shape[-1] == 4 and len(shape) == 3:
        array[..., 3] = 0
    image = read_image(array)
    assert image.size == (4, 5)
    assert image.getpixel((0, 0)) == ((255,) * 3 if shape[2:] == (4,) else (100,) * 3)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 8, 8), np.uint8),
        np.zeros(5, np.uint8),
        np.zeros((0, 4), np.uint8),
        np.array([["a"]]),
        np.zeros((5001, 5001), np.uint8),
        np.array([[np.nan]]),
        np.array([[np.inf, 0.0]]),
    ],
)
def test_arrays_that_are_no_images(array):
    with pytest.raises(DataError):
        read_image(array)


def test_the_first_frame_of_an_animation_and_of_pages_is_used_and_said():
    red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    for kind, word in [("GIF", "animated"), ("PNG", "animated"), ("TIFF", "several pages")]:
        data = encoded(red, kind, save_all=True, append_images=[blue])
        assert pixels(data)[0, 0].tolist() == [255, 0, 0]
        assert word in image_notes(data)[0]
        assert "first" in image_notes(data)[0]
    assert image_notes(encoded(red, "GIF")) == ()


def test_pil_images_are_not_changed_and_not_shared():
    image = photo()
    copy = read_image(image)
    copy.putpixel((0, 0), (1, 2, 3))
    assert np.array_equal(np.asarray(image), np.asarray(photo()))
    assert image_facts(image).format == "memory"
    assert image_facts(np.zeros((2, 3))).width == 3


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("side", [16, 50, 100, 600, 10_000])
def test_draft_decodes_no_smaller_than_asked(side, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photo(800, 600), "JPEG", exif=exif)
    full, small = read_image(data), read_image(data, max_side=side)
    assert min(small.size) >= min(side, 600)
    assert small.width / small.height == pytest.approx(full.width / full.height, rel=0.02)
    if side <= 300:
        assert small.size != full.size
    shrunk = [np.asarray(image.resize((12, 12), Image.Resampling.BOX)) for image in (full, small)]
    assert np.abs(shrunk[0].astype(int) - shrunk[1]).mean() <= 3


def png_header(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + struct.pack(">I", 10)
        + b"IDAT"
        + b"\0" * 10
    )


@pytest.mark.parametrize("side", [5001, 10_000, 15_000, 60_000])
def test_bombs_are_refused_by_their_header_without_a_warning(side, monkeypatch):
    def explode(*_):
        raise AssertionError("decoded a bomb")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", explode)
    with pytest.raises(DataError, match="megapixels"):
        read_image(png_header(side, side))
    with pytest.raises(DataError, match="megapixels"):
        image_facts(png_header(side, side))
    assert side * side > MAX_PIXELS


def test_truncated_empty_missing_and_foreign_files(tmp_path):
    for kind in ("JPEG", "PNG", "WEBP"):
        data = encoded(photo(200, 150), kind)
        path = tmp_path / f"cut.{kind}"
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(DataError, match=f"cut.{kind}.*damaged"):
            read_image(path)
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty\.jpg: the file is empty"):
        read_image(tmp_path / "empty.jpg")
    with pytest.raises(DataError, match=r"none\.jpg: cannot open.*No such file"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(DataError, match="cannot open"):
        read_image("a\0b.png")
    with pytest.raises(DataError, match="cannot open"):
        read_image(tmp_path)
    for data in (b"hello, this is text", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"%PDF-1.4\n"):
        with pytest.raises(DataError, match="not an image"):
            read_image(data)
    with pytest.raises(DataError, match="not an image"):
        read_image(17)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "PPM", "ICO"])
def test_mutated_files_give_an_image_or_a_data_error(kind):
    rng = random.Random(kind)
    several = (
        {"save_all": True, "append_images": [photo(seed=2)]} if kind in ("GIF", "TIFF") else {}
    )
    sound = encoded(photo(), kind, **several)
    outcomes = set()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(60):
            data = bytearray(sound)
            for _ in range(rng.choice([1, 2, 8])):
                spot = rng.randrange(min(len(data), rng.choice([40, 200, 10**6])))
                data[spot] = rng.randrange(256)
            if rng.random() < 0.3:
                del data[rng.randrange(len(data)) :]
            try:
                image_facts(bytes(data))
                outcomes.add(read_image(bytes(data), max_side=rng.choice([None, 16])).mode)
            except DataError:
                outcomes.add("refused")
    assert outcomes <= {"RGB", "refused"}
    assert [str(each.message) for each in caught if "unclosed" not in str(each.message)] == []


def test_threads_leave_the_warning_filters_alone():
    data = encoded(photo(), "JPEG")
    before = list(warnings.filters)
    assert len(list(parallel.map(read_image, [data] * 100, workers=4))) == 100
    assert warnings.filters == before


def test_content_hash(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    assert content_hash(path) == content_hash(b"abc") == content_hash("abc")
    assert len(content_hash(path)) == 16
    zeros = np.zeros((2, 3), np.uint8)
    assert content_hash(zeros) == content_hash(np.zeros((3, 2), np.uint8).T.copy())
    seen = [
        content_hash(each)
        for each in (
            zeros,
            zeros.T,
            zeros.astype(np.int8),
            np.array(["a"], object),
            photo(),
            photo(seed=1),
            "\ud800",
            {"a": 1},
            {"a": 2},
            (1, "x"),
            (np.int64(2), "x"),
        )
    ]
    assert len(set(seen)) == len(seen)
    assert content_hash((1, "x")) == content_hash([np.int64(1), "x"])
    assert content_hash(zeros[:, ::-1]) == content_hash(zeros)


def test_content_hash_of_what_has_no_content(tmp_path):
    with pytest.raises(DataError, match="cannot read the file"):
        content_hash(Path(tmp_path / "none"))
    with pytest.raises(DataError, match="no content"):
        content_hash(object())
