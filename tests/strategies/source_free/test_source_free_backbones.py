"""Batch norm changed for a target: statistics against numpy, what changes and what does not."""

import numpy as np
import pytest
import torch

from headstart.core.errors import OptionError
from headstart.sources import conv4
from headstart.strategies.heads import LinearHead, TunedHead
from headstart.strategies.source_free import AdaBN, Tent
from headstart.strategies.source_free.backbones import (
    norms_of,
    probabilities_of,
    target_statistics,
)
from headstart.strategies.source_free.base import mean_entropy
from headstart.strategies.tuned import tuned_backbone
from headstart.strategies.tuning.augment import Augment
from headstart.strategies.tuning.items import ImageItems

SIZE, WIDTH = 16, 4


def pictures(n=24, seed=0, dark=0):
    """Bars, upright or lying, on noise: two classes."""
    rng = np.random.default_rng(seed)
    images, labels = [], np.arange(n) % 2
    for label in labels:
        image = rng.integers(0, 60, (SIZE, SIZE, 3))
        place = int(rng.integers(2, SIZE - 4))
        bar = (slice(place, place + 3), slice(None))[:: 1 if label else -1]
        image[bar] += 150
        images.append(np.clip(image - dark, 0, 255).astype(np.uint8))
    return images, labels


@pytest.fixture(scope="module")
def made():
    """A small network whose statistics are those of its pictures, and a head on it."""
    backbone = conv4.untrained(size=SIZE, width=WIDTH, generator=torch.Generator().manual_seed(0))
    items = ready(pictures(64)[0], backbone)
    target_statistics(backbone, items, 64)
    with torch.no_grad():
        X = backbone(items.load(np.arange(64), 0, None)).numpy()
    from headstart.strategies.adaptation.base import linear_form

    form = linear_form(X.astype(float), pictures(64)[1], 2)
    return backbone, LinearHead(form.coef, form.intercept, np.array(["lying", "upright"]))


def ready(images, backbone):
    from headstart.core.types import SILENT

    augment = Augment(crop=1.0, flip=False, strength=0.0)
    return ImageItems(images, backbone, size=SIZE, augment=augment, reporter=SILENT)


def tensors(backbone):
    return {name: array.copy() for name, array in backbone.tensors().items()}


def test_statistics_equal_numpys(made):
    backbone = tuned_backbone(made[0], {}, {})
    items = ready(pictures(20, seed=1)[0], backbone)
    x = backbone.blocks[0].conv(items.load(np.arange(20), 0, None)).detach().numpy()
    found = target_statistics(backbone, items, 7)
    places = np.moveaxis(x.astype(np.float64), 1, 0).reshape(WIDTH, -1)
    mean, variance = found["blocks.0.bn.running_mean"], found["blocks.0.bn.running_var"]
    assert np.allclose(mean, places.mean(axis=1), atol=1e-6)
    assert np.allclose(variance, places.var(axis=1, ddof=1), rtol=1e-5)


def test_statistics_of_one_batch_equal_those_of_torch(made):
    """In one batch every layer sees what it sees in torch's own training mode."""
    backbone, other = (tuned_backbone(made[0], {}, {}) for _ in range(2))
    items = ready(pictures(20, seed=1)[0], backbone)
    target_statistics(backbone, items, 64)
    other.train()
    for module in norms_of(other).values():
        module.momentum = 1.0
    with torch.no_grad():
        other(items.load(np.arange(20), 0, None))
    for name, array in other.tensors().items():
        assert np.allclose(backbone.tensors()[name], array, rtol=1e-4, atol=1e-5), name


def test_a_prior_weighs_the_old_statistics(made):
    plain, mixed = (tuned_backbone(made[0], {}, {}) for _ in range(2))
    items = ready(pictures(20, seed=1)[0], plain)
    pure = target_statistics(plain, items, 64)["blocks.0.bn.running_mean"]
    found = target_statistics(mixed, items, 64, prior=60.0)["blocks.0.bn.running_mean"]
    old = made[0].tensors()["blocks.0.bn.running_mean"]
    assert np.allclose(found, 0.25 * pure + 0.75 * old, atol=1e-6)


def test_adabn_follows_a_change_of_light(made):
    backbone, head = made
    images, labels = pictures(60, seed=2)
    faint = [(image * 0.4 + 90).astype(np.uint8) for image in images]
    before = tensors(backbone)
    change = AdaBN()
    new = change.fit(head, faint, backbone)
    assert change.decisions_ == ()
    assert all(np.array_equal(before[name], a) for name, a in backbone.tensors().items())
    assert all(".running_" in name for name in new.tuned)
    again = TunedHead.from_state(state_of(new))
    own = tuned_backbone(backbone, again.tuned, again.given)
    right = (probabilities_of(own, ready(faint, own), again, 64).argmax(1) == labels).mean()
    old = (probabilities_of(backbone, ready(faint, own), head, 64).argmax(1) == labels).mean()
    assert right >= old + 0.1


def test_adabn_steps_back_where_predictions_collapse_and_only_there(made, monkeypatch):
    from headstart.strategies.source_free import adabn

    backbone, head = made
    images, _ = pictures(60, seed=2)

    def wrecked(work, items, size, *, prior):
        found = target_statistics(work, items, size, prior=prior)
        with torch.no_grad():
            for module in norms_of(work).values():
                module.running_var.fill_(1e12)
        return found

    monkeypatch.setattr(adabn, "target_statistics", wrecked)
    change = AdaBN()
    assert change.fit(head, images, backbone).tuned == {}
    assert "the target is 1 class" in str(change.decisions_[0])
    monkeypatch.undo()
    faint = [(image * 0.9 + 10).astype(np.uint8) for image in images]  # prior keeps it near
    assert AdaBN(prior=600.0).fit(head, faint, backbone).tuned
    assert "certainty is not looked at" in " ".join(AdaBN.__doc__.split())


def state_of(head):
    from headstart.core.types import State
    from headstart.strategies.frozen import pack_classes

    arrays = {"coef": head.coef_, "intercept": head.intercept_}
    arrays |= {f"tuned.{name}": array for name, array in head.tuned.items()}
    return State(arrays, {"given": head.given, "target": "classes"} | pack_classes(head.classes_))


@pytest.mark.parametrize("statistics", ["source", "target"])
def test_tent_lowers_entropy_and_changes_batch_norm_alone(made, statistics):
    backbone, head = made
    images, _ = pictures(60, seed=2)
    change = Tent(epochs=4, learning_rate=1e-2, statistics=statistics)
    new = change.fit(head, images, backbone)
    assert change.decisions_ == ()
    allowed = ("bn.weight", "bn.bias") + (
        ("running_mean", "running_var") * (statistics == "target")
    )
    assert all(name.endswith(allowed) for name in new.tuned)
    assert any(not np.array_equal(a, backbone.tensors()[n]) for n, a in new.tuned.items())
    own = tuned_backbone(backbone, new.tuned, new.given)
    for name, array in own.tensors().items():
        if name not in new.tuned:
            assert array.tobytes() == backbone.tensors()[name].tobytes()
    after = mean_entropy(probabilities_of(own, ready(images, own), head, 64))
    plain = tuned_backbone(backbone, {}, {})
    if statistics == "target":
        target_statistics(plain, ready(images, plain), 64)
    assert after < mean_entropy(probabilities_of(plain, ready(images, plain), head, 64))
    again = Tent(epochs=4, learning_rate=1e-2, statistics=statistics).fit(head, images, backbone)
    assert all(array.tobytes() == again.tuned[name].tobytes() for name, array in new.tuned.items())


def test_tent_is_reset_where_it_collapses(made):
    backbone, head = made
    first = AdaBN(prior=10.0).fit(head, pictures(60, seed=2)[0], backbone)
    change = Tent(epochs=30, learning_rate=1.0)
    new = change.fit(first, pictures(60, seed=3)[0], backbone)
    assert "reset after pass" in str(change.decisions_[0])
    assert new.tuned.keys() == first.tuned.keys()
    assert all(array.tobytes() == first.tuned[name].tobytes() for name, array in new.tuned.items())


def test_what_cannot_be_used_is_said(made):
    backbone, head = made
    images, _ = pictures(12)
    assert AdaBN().fit(head, images[:3], backbone).tuned == {}
    for change, where in (
        (AdaBN(prior=-1.0), "prior"),
        (AdaBN(batch_size=1), "batch_size"),
        (Tent(epochs=0), "epochs"),
        (Tent(learning_rate=0.0), "learning_rate"),
        (Tent(statistics="both"), "statistics"),
    ):
        with pytest.raises(OptionError) as caught:
            change.fit(head, images, backbone)
        assert caught.value.where == where
    bare = conv4.untrained(size=16, width=2, generator=torch.Generator())
    for block in bare.blocks:
        block.bn = torch.nn.Identity()
    with pytest.raises(OptionError, match="no batch norm"):
        AdaBN().fit(head, images, bare)
