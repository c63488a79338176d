"""Augmentation: of images as batches, one resampling, one mixing of colours; of sounds, masks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from headstart.core.errors import OptionError

ROTATION = math.radians(30)  # what a strength of 1 allows: radians either way,
SHEAR = 0.3  # shift of a row over its height, either way,
COLOUR = 0.5  # brightness, contrast and saturation from 1 - COLOUR to 1 + COLOUR times,
ERASED = 0.5  # probability that a patch is erased,
PATCH = (0.02, 0.2)  # and its share of the area, whatever the strength
PATCH_ASPECT = math.log(3.0)  # log of its width over its height, either way
CROP_ASPECT = math.log(4 / 3)  # the same of a crop
SHARPEST = 1.5  # pictures more than this larger than asked for are first shrunk to that
BANDS, TIME = 1 / 3, 0.2  # share of the bands, and of the time, that a mask of a sound may hide
MASKS = 2  # of each kind
_LUMA = (0.299, 0.587, 0.114)
_DRAWS = 15


@dataclass(frozen=True)
class Augment:
    """Random crops, mirroring, and changes of shape and colour under one dial.

    Parameters
    ----------
    crop : float
        Least share of the area that a random crop keeps, more than 0, at most 1; its aspect ratio
        lies between 3/4 and 4/3, and it never leaves the image. 1: the whole image.
    flip : bool
        Mirror each image left to right with probability 1/2.
    strength : float
        0 to 1, a dial in the spirit of RandAugment. At 1: rotation up to 30 degrees and shear up
        to 0.3 (what leaves the image is its reflection), brightness, contrast and saturation
        times 0.5 to 1.5, and in half of the images a patch of 2% to 20% of the area erased to
        the image's mean. In between all of these grow in proportion, but for the patch's size.

    Raises
    ------
    OptionError
        A crop or strength out of range; from a call, pixels of another shape.

    References
    ----------
    Szegedy et al., "Going deeper with convolutions", CVPR 2015 (crops); Cubuk et al.,
    "RandAugment", NeurIPS 2020; Zhong et al., "Random erasing data augmentation", AAAI 2020.

    Examples
    --------
    >>> pixels = torch.randint(256, (2, 40, 40, 3), dtype=torch.uint8)
    >>> Augment(flip=True)(pixels, 32, torch.Generator().manual_seed(0)).shape
    torch.Size([2, 3, 32, 32])
    """

    crop: float = 0.5
    flip: bool = False
    strength: float = 0.5

    def __post_init__(self) -> None:
        _check_crop(self.crop)
        _check_strength(self.strength)

    def __call__(self, pixels: Tensor, size: int, generator: torch.Generator) -> Tensor:
        """Return changed images, float32 (n, 3, size, size), channels last, values 0 to 255.

        Parameters
        ----------
        pixels : Tensor of shape (n, S, S, 3)
            uint8, on any device.
        size : int
            At least 1.
        generator : torch.Generator
            Draws the same count of numbers an image, whatever the options.
        """
        _check_pixels(pixels, size)
        drawn = torch.rand(len(pixels), _DRAWS, generator=generator, device=generator.device)
        flips = (drawn[:, 0] < 0.5) & self.flip
        if self.crop == 1 and self.strength == 0:
            seen = centre(pixels, size)
            mirrored = flips.to(seen.device)[:, None, None, None]
            return torch.where(mirrored, seen.flip(3), seen)
        theta = self._geometry(drawn, flips)
        if pixels.shape[1] > SHARPEST * size:
            images = centre(pixels, math.ceil(SHARPEST * size)).contiguous()
        else:
            images = pixels.permute(0, 3, 1, 2).contiguous().float()
        seen = functional.grid_sample(
            images,
            _grid(theta.to(images.device), size),
            mode="bilinear",
            padding_mode="reflection",
            align_corners=False,
        )
        seen = self._recoloured(seen, drawn)
        self._erase(seen, drawn[:, 10:])
        return seen

    def _geometry(self, drawn: Tensor, flips: Tensor) -> Tensor:
        """Return the maps, (n, 2, 3), from places in the result to places in the image."""
        area = self.crop + (1 - self.crop) * drawn[:, 1]
        # the aspect ratios at which neither side is longer than the image's
        widest = (-area.log()).clamp(max=CROP_ASPECT)
        aspect = ((2 * drawn[:, 2] - 1) * widest).exp()
        sides = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], dim=1).clamp(max=1)
        middle = (1 - sides) * (2 * drawn[:, 3:5] - 1)
        angle = (2 * drawn[:, 5] - 1) * self.strength * ROTATION
        shear = (2 * drawn[:, 6] - 1) * self.strength * SHEAR
        mirror = 1 - 2 * flips.float()
        cos, sin = angle.cos(), angle.sin()
        rows = [cos * mirror, cos * shear - sin, sin * mirror, sin * shear + cos]
        linear = torch.stack(rows, dim=1).reshape(-1, 2, 2)
        return torch.cat([sides[:, :, None] * linear, middle[:, :, None]], dim=2)

    def _recoloured(self, seen: Tensor, drawn: Tensor) -> Tensor:
        """Return (n, 3, h, w) with colours mixed, cut to 0..255 and laid out channels last."""
        n, _, height, width = seen.shape
        if self.strength == 0:
            return seen.clamp_(0, 255).contiguous(memory_format=torch.channels_last)
        factors = 1 + (2 * drawn[:, 7:10] - 1) * self.strength * COLOUR
        brightness, contrast, saturation = factors.to(seen.device).T[:, :, None, None]
        luma = torch.tensor(_LUMA, device=seen.device)
        mix = saturation * torch.eye(3, device=seen.device) + (1 - saturation) * luma
        grey = seen.mean(dim=(2, 3)) @ luma  # of each image; mixing saturation leaves it alone
        flat = seen.flatten(2).transpose(1, 2)
        shift = brightness * (1 - contrast) * grey[:, None, None]
        mixed = torch.baddbmm(shift, flat, (brightness * contrast * mix).transpose(1, 2))
        return mixed.clamp_(0, 255).reshape(n, height, width, 3).permute(0, 3, 1, 2)

    def _erase(self, seen: Tensor, drawn: Tensor) -> None:
        """Set a patch of some of the images to the image's mean colour, in place."""
        size = seen.shape[2]
        for row, (chance, share, aspect, x, y) in enumerate(drawn.tolist()):
            if chance >= ERASED * self.strength:
                continue
            area = PATCH[0] + (PATCH[1] - PATCH[0]) * share
            ratio = math.exp((2 * aspect - 1) * PATCH_ASPECT)
            width, height = (
                max(1, round(size * side))
                for side in (math.sqrt(area * ratio), math.sqrt(area / ratio))
            )
            left, top = round(x * (size - width)), round(y * (size - height))
            mean = seen[row].mean(dim=(1, 2))[:, None, None]
            seen[row, :, top : top + height, left : left + width] = mean


@dataclass(frozen=True)
class SpecAugment:
    """Stripes of the time and of the frequencies of a sound are hidden: SpecAugment, no time warp.

    Parameters
    ----------
    strength : float
        0 to 1. At 1 each of two masks hides up to a third of the bands (as Park et al., 27 of 80)
        and each of two others up to a fifth of the time; below, proportionally less. The widths
        and the places are uniform. What is hidden becomes the mean of what counts.

    Raises
    ------
    OptionError
        The strength is out of range.

    References
    ----------
    Park et al., "SpecAugment: a simple data augmentation method for automatic speech
    recognition", Interspeech 2019.

    Examples
    --------
    >>> frames, mask = torch.rand(50, 80), torch.ones(50, dtype=torch.int64)
    >>> SpecAugment(1.0)(frames, mask, torch.Generator().manual_seed(0)).shape
    torch.Size([50, 80])
    """

    strength: float = 0.5

    def __post_init__(self) -> None:
        _check_strength(self.strength)

    def __call__(self, frames: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
        """Return a changed copy of the frames of one sound.

        Parameters
        ----------
        frames : Tensor of shape (t, bands), (t) or (channels, t, bands)
            Of samples (t) only stretches of time are hidden; of channels the same in all.
        mask : Tensor of shape (t)
            Frames other than those that are 1 (silence, padding) stay as they are; of channels all
            frames count.
        generator : torch.Generator
            Draws the same count of numbers a sound, whatever the strength.
        """
        drawn = torch.rand(MASKS, 4, generator=generator, device=generator.device).tolist()
        counted = torch.nonzero(mask == 1).flatten()
        if not len(counted):
            return frames
        found = frames.clone()
        part = found if frames.ndim < 3 else found.movedim(0, -1)  # time comes first
        if frames.ndim < 3:  # what counts is one stretch
            part = part[int(counted[0]) : int(counted[-1]) + 1]
        mean = part.mean()
        for wide, place, long, start in drawn:
            if part.ndim > 1:
                _hide(part, 1, wide * self.strength * BANDS, place, mean)
            _hide(part, 0, long * self.strength * TIME, start, mean)
        return found


def _hide(part: Tensor, axis: int, share: float, place: float, mean: Tensor) -> None:
    """Set a stripe across an axis to the mean, in place."""
    size = part.shape[axis]
    width = int(share * size + 0.5)
    part.narrow(axis, int(place * (size - width + 1)), width).fill_(mean)


def centre(pixels: Tensor, size: int, crop: float = 1.0) -> Tensor:
    """Return the middle of images, float32 (n, 3, size, size), channels last, values 0 to 255.

    Shrinking is antialiased, as Pillow's bilinear filter is.

    Parameters
    ----------
    pixels : Tensor of shape (n, S, S, 3)
        uint8, on any device.
    size : int
        At least 1.
    crop : float
        Share of the side that is kept, more than 0, at most 1.

    Raises
    ------
    OptionError
        A crop or size out of range, or pixels of another shape.
    """
    _check_crop(crop)
    _check_pixels(pixels, size)
    whole = pixels.shape[1]
    side = max(1, round(whole * crop))
    first = (whole - side) // 2
    seen = pixels[:, first : first + side, first : first + side].permute(0, 3, 1, 2)
    if side != size:
        if seen.device.type != "cpu":  # where bytes cannot be resized
            seen = seen.float()
        seen = functional.interpolate(
            seen, (size, size), mode="bilinear", align_corners=False, antialias=True
        )
    return seen.float().contiguous(memory_format=torch.channels_last).clamp_(0, 255)


def _grid(theta: Tensor, size: int) -> Tensor:
    """Return where each pixel looks, (n, size, size, 2): torch's affine_grid, but faster."""
    places = (2 * torch.arange(size, device=theta.device) + 1) / size - 1
    grid = theta.new_empty(len(theta), size, size, 2)
    for axis in range(2):
        across, down, middle = theta[:, axis].T[:, :, None]
        row, column = across * places + middle, down * places
        torch.add(row[:, None, :], column[:, :, None], out=grid[..., axis])
    return grid


def _check_strength(strength: float) -> None:
    if not 0 <= strength <= 1:
        raise OptionError(
            "the strength of augmentation is out of range",
            where="strength",
            got=strength,
            allowed="0 to 1",
        )


def _check_crop(crop: float) -> None:
    if not 0 < crop <= 1:
        raise OptionError(
            "the crop is out of range", where="crop", got=crop, allowed="more than 0, at most 1"
        )


def _check_pixels(pixels: Tensor, size: int) -> None:
    square = pixels.ndim == 4 and pixels.shape[1] == pixels.shape[2] and pixels.shape[3] == 3
    if not square or pixels.dtype != torch.uint8:
        raise OptionError(
            "images must be square and uint8",
            where="pixels",
            got=f"{pixels.dtype} {tuple(pixels.shape)}",
            allowed="(n, S, S, 3)",
        )
    if size < 1:
        raise OptionError("images have at least 1 pixel a side", where="size", got=size)
