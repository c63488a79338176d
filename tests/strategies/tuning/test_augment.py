"""Augmentation: what chance may change, and what it may not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from headstart.core.errors import OptionError
from headstart.strategies.tuning import augment
from headstart.strategies.tuning.augment import Augment, centre


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photos(n: int = 6, side: int = 48) -> torch.Tensor:
    """Smooth coloured images without symmetry."""
    noise = torch.rand(n, 3, 6, 6, generator=seeded(n)) * 255
    smooth = functional.interpolate(noise, (side, side), mode="bilinear", align_corners=False)
    return smooth.permute(0, 2, 3, 1).to(torch.uint8)


def ramps(n: int, side: int = 64) -> torch.Tensor:
    """Images whose red is the column, green the row; blue is 255 everywhere."""
    place = torch.arange(side, dtype=torch.uint8)
    image = torch.stack(
        [
            place.expand(side, side),
            place[:, None].expand(side, side),
            torch.tensor(255).expand(side, side).byte(),
        ],
        dim=2,
    )
    return image.expand(n, side, side, 3).contiguous()


@pytest.mark.parametrize("side", [20, 32, 48, 100])
@pytest.mark.parametrize(
    "options", [{}, {"crop": 1.0, "flip": True, "strength": 1.0}, {"crop": 0.1, "strength": 0.0}]
)
def test_form_range_and_seed(side: int, options: dict[str, float]) -> None:
    pixels, change = photos(5, side), Augment(**options)
    kept = pixels.clone()
    seen = change(pixels, 32, seeded(1))
    assert torch.equal(pixels, kept)
    assert seen.dtype == torch.float32
    assert seen.shape == (5, 3, 32, 32)
    assert seen.is_contiguous(memory_format=torch.channels_last)
    assert seen.min() >= 0
    assert seen.max() <= 255
    assert torch.equal(seen, change(pixels, 32, seeded(1)))
    assert not torch.equal(seen, change(pixels, 32, seeded(2)))


@pytest.mark.parametrize("side", [24, 32, 80])
def test_no_augmentation_is_the_centre(side: int) -> None:
    pixels = photos(4, side)
    plain = Augment(crop=1.0, flip=False, strength=0.0)(pixels, 32, seeded())
    assert torch.equal(plain, centre(pixels, 32))


def test_about_half_are_mirrored_exactly() -> None:
    pixels = photos(400, 16)
    plain = centre(pixels, 12)
    seen = Augment(crop=1.0, flip=True, strength=0.0)(pixels, 12, seeded())
    same = (seen == plain).flatten(1).all(dim=1)
    mirrored = (seen == plain.flip(3)).flatten(1).all(dim=1)
    assert (same ^ mirrored).all()
    assert 150 < int(mirrored.sum()) < 250


def test_crops_mirror_too() -> None:
    kinds = [Augment(flip=flip, strength=0.0) for flip in (False, True)]
    plain, seen = (kind(photos(200), 20, seeded()) for kind in kinds)
    same = torch.isclose(seen, plain, atol=0.01).flatten(1).all(dim=1)
    mirrored = torch.isclose(seen, plain.flip(3), atol=0.01).flatten(1).all(dim=1)
    assert (same ^ mirrored).all()
    assert 70 < int(mirrored.sum()) < 130


@pytest.mark.parametrize("least", [0.08, 0.5, 0.9])
def test_crops_keep_their_area_and_aspect_and_stay_inside(least: float) -> None:
    side, size, n = 64, 64, 300
    seen = Augment(crop=least, strength=0.0)(ramps(n, side), size, seeded())
    torch.testing.assert_close(seen[:, 2], torch.full_like(seen[:, 2], 255.0))
    middle = seen[:, :, size // 2, size // 2]
    # the slope of a ramp is the share of the side that is kept; away from the edge
    inner = slice(8, 56)
    width = (seen[:, 0, 30, inner].diff(dim=1)).mean(dim=1)
    height = (seen[:, 1, inner, 30].diff(dim=1)).mean(dim=1)
    area, aspect = width * height, width / height
    assert area.min() >= least - 0.02
    assert area.max() <= 1.02
    assert area.max() - area.min() > 0.5 * (1 - least)
    assert aspect.min() >= 3 / 4 - 0.02
    assert aspect.max() <= 4 / 3 + 0.02
    # no edge is passed: nothing is reflected, so ramps only rise
    assert (seen[:, 0].diff(dim=2) >= -1e-3).all()
    assert (seen[:, 1].diff(dim=1) >= -1e-3).all()
    assert (middle[:, 0] - width * size / 2 >= -1.5).all()
    assert (middle[:, 0] + width * size / 2 <= side + 0.5).all()


def test_nothing_is_padded_with_black(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "COLOUR", 0.0)
    white = torch.full((50, 40, 40, 3), 200, dtype=torch.uint8)
    seen = Augment(crop=0.3, flip=True, strength=1.0)(white, 32, seeded())
    torch.testing.assert_close(seen, torch.full_like(seen, 200.0), rtol=0, atol=0.01)


def test_the_grid_is_torchs() -> None:
    theta = torch.randn(4, 2, 3, generator=seeded())
    known = functional.affine_grid(theta, [4, 3, 17, 17], align_corners=False)
    torch.testing.assert_close(augment._grid(theta, 17), known, rtol=1e-5, atol=1e-6)


def test_rotation_and_shear_stay_within_the_dial() -> None:
    drawn = torch.rand(500, augment._DRAWS, generator=seeded())
    for strength in (0.0, 0.5, 1.0):
        change = Augment(crop=1.0, strength=strength)
        linear = change._geometry(drawn, torch.zeros(500, dtype=torch.bool))[:, :, :2]
        angle = torch.rad2deg(torch.atan2(linear[:, 1, 0], linear[:, 0, 0]))
        assert angle.abs().max() <= 30 * strength + 1e-4
        assert angle.abs().max() >= 29 * strength - 1e-4
        torch.testing.assert_close(torch.linalg.det(linear), torch.ones(500))
        shear = (linear[:, :, 0] * linear[:, :, 1]).sum(dim=1)
        assert shear.abs().max() <= 0.3 * strength + 1e-5
        assert shear.abs().max() >= 0.29 * strength - 1e-5


@pytest.mark.parametrize(("place", "low", "high"), [(7, 0.5, 1.5), (8, 0.5, 1.5), (9, 0.5, 1.5)])
def test_colours_change_as_their_definitions_say(place: int, low: float, high: float) -> None:
    seen = centre(photos(2), 24) * 0.2 + 80  # far from both ends: nothing is cut
    luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    grey = (seen * luma).sum(dim=1, keepdim=True)
    towards = {7: torch.zeros_like(grey), 8: grey.mean(dim=(2, 3), keepdim=True), 9: grey}[place]
    for draw, factor in ((0.0, low), (1.0, high)):
        drawn = torch.full((2, augment._DRAWS), 0.5)
        drawn[:, place] = draw
        found = Augment(strength=1.0)._recoloured(seen.clone(), drawn)
        torch.testing.assert_close(found, towards + factor * (seen - towards), rtol=1e-4, atol=0.01)


def test_colours_change_one_after_another() -> None:
    seen = centre(photos(2), 24) * 0.2 + 80
    luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    drawn = torch.full((2, augment._DRAWS), 0.5)
    drawn[:, 7:10] = torch.tensor([0.8, 0.3, 0.9])  # 1.3, 0.8 and 1.4 times
    grey = (seen * luma).sum(dim=1, keepdim=True)
    known = grey + 1.4 * (seen - grey)
    mean = (known * luma).sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True)
    known = 1.3 * (mean + 0.8 * (known - mean))
    found = Augment(strength=1.0)._recoloured(seen.clone(), drawn)
    torch.testing.assert_close(found, known, rtol=1e-4, atol=0.01)


def test_patches_are_erased_as_often_and_as_large_as_said() -> None:
    for strength in (0.0, 0.5, 1.0):
        seen = centre(photos(400, 40), 40)
        before = seen.clone()
        drawn = torch.rand(400, 5, generator=seeded())
        Augment(strength=strength)._erase(seen, drawn)
        share = (seen != before).any(dim=1).float().mean(dim=(1, 2))
        assert abs((share > 0).float().mean().item() - 0.5 * strength) < 0.06
        assert share.max() <= 0.22
        if strength:
            assert share[share > 0].min() >= 0.01
            torch.testing.assert_close(
                seen.mean(dim=(2, 3))[share == 0], before.mean(dim=(2, 3))[share == 0]
            )


def test_the_dial_is_monotone() -> None:
    pixels = photos(60)
    plain = centre(pixels, 48)
    changes = [
        (Augment(crop=1.0, strength=s)(pixels, 48, seeded()) - plain).abs().mean().item()
        for s in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    assert changes[0] == 0
    assert (np.diff(changes) > 1).all()


@pytest.mark.parametrize(("side", "size"), [(48, 20), (64, 33), (20, 30)])
def test_the_centre_is_pillows(side: int, size: int) -> None:
    pixels = photos(3, side)
    found = centre(pixels, size)
    for image, ours in zip(pixels, found, strict=True):
        theirs = Image.fromarray(image.numpy()).resize((size, size), Image.Resampling.BILINEAR)
        difference = ours.permute(1, 2, 0).numpy() - np.asarray(theirs, dtype=np.float32)
        assert np.abs(difference).max() <= 1


def test_the_centre_crops_before_it_resizes() -> None:
    pixels = photos(2, 40)
    assert torch.equal(centre(pixels, 20, 0.5), pixels[:, 10:30, 10:30].permute(0, 3, 1, 2).float())
    assert centre(pixels, 1, 0.001).shape == (2, 3, 1, 1)


@pytest.mark.parametrize("crop", [0.0, -1.0, 1.01, float("nan")])
def test_a_crop_out_of_range_is_refused(crop: float) -> None:
    with pytest.raises(OptionError, match="crop"):
        Augment(crop=crop)
    with pytest.raises(OptionError, match="crop"):
        centre(photos(1), 8, crop)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_strength_out_of_range_is_refused(strength: float) -> None:
    with pytest.raises(OptionError, match="strength"):
        Augment(strength=strength)


@pytest.mark.parametrize("call", [centre, lambda p, s: Augment()(p, s, seeded())])
def test_other_pixels_are_refused(call) -> None:
    pixels = photos(1)
    for wrong in (pixels.float(), pixels[0], pixels[:, :5], pixels[..., :2]):
        with pytest.raises(OptionError, match="square and uint8"):
            call(wrong, 8)
    with pytest.raises(OptionError, match="at least 1 pixel"):
        call(pixels, 0)
