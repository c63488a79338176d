"""Regularisers against autograd, singular values and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from headstart.core.errors import OptionError
from headstart.strategies.tuning.regularise import L2SP, bss, mask_tokens, mixup


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network() -> nn.Module:
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=seeded(parameter.numel())))
    return model.double()


def test_l2sp_is_the_gradient_of_its_penalty() -> None:
    model, x = network(), torch.randn(7, 5, dtype=torch.float64, generator=seeded(1))
    own = list(model.parameters())
    before = [p.detach().clone() for p in own]
    pull = L2SP(own, 0.3)
    assert pull.penalty() == 0
    with torch.no_grad():
        for p in own:
            p.add_(torch.randn(p.shape, dtype=p.dtype, generator=seeded(2)))
    penalty = 0.15 * sum((p - start).square().sum() for p, start in zip(own, before, strict=True))
    known = torch.autograd.grad(model(x).square().mean() + penalty, own)
    model(x).square().mean().backward()
    pull.add_gradients()
    for p, gradient in zip(own, known, strict=True):
        torch.testing.assert_close(p.grad, gradient, rtol=1e-12, atol=1e-12)
    assert pull.penalty() == pytest.approx(penalty.item(), rel=1e-6)


def test_l2sp_sets_a_missing_gradient_and_leaves_what_is_frozen() -> None:
    free, frozen = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3), requires_grad=False)
    pull = L2SP([free, frozen], 2.0)
    with torch.no_grad():
        free += 0.5
    pull.add_gradients()
    assert free.grad is not None
    assert free.grad.tolist() == [1.0] * 3
    assert frozen.grad is None


def test_l2sp_alone_leads_back_to_the_start() -> None:
    w = nn.Parameter(torch.arange(4.0))
    pull = L2SP([w], 1.0)
    with torch.no_grad():
        w += 3.0
    optimiser = torch.optim.SGD([w], lr=0.5)
    for _ in range(40):
        optimiser.zero_grad()
        pull.add_gradients()
        optimiser.step()
    torch.testing.assert_close(w.detach(), torch.arange(4.0))


@pytest.mark.parametrize("strength", [-0.1, float("nan"), float("inf")])
def test_l2sp_refuses_a_strength(strength: float) -> None:
    with pytest.raises(OptionError, match="at least 0"):
        L2SP([], strength)


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (5, 5), (1, 4)])
@pytest.mark.parametrize("k", [1, 3, 50])
def test_bss_is_the_sum_of_the_smallest_singular_values_squared(
    shape: tuple[int, int], k: int
) -> None:
    features = torch.randn(shape, dtype=torch.float64, generator=seeded(3), requires_grad=True)
    known = torch.linalg.svdvals(features.detach()).flip(0)[:k].square().sum()
    torch.testing.assert_close(bss(features, k).detach(), known, rtol=1e-10, atol=1e-12)
    single = bss(features.detach().float(), k)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single, known.float(), rtol=1e-5, atol=1e-6)
    assert torch.autograd.gradcheck(lambda f: bss(f, k), features)


@pytest.mark.parametrize(
    "features",
    [torch.eye(4), torch.zeros(3, 5), torch.ones(6, 2), torch.eye(3, 8), torch.zeros(0, 4)],
)
def test_bss_has_finite_gradients_where_singular_values_coincide(features: torch.Tensor) -> None:
    features = features.clone().requires_grad_(True)
    value = bss(features, 2)
    value.backward()
    assert value.item() >= 0
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()


def test_bss_under_autocast_and_in_half_precision() -> None:
    features = torch.randn(8, 6, generator=seeded(4)).bfloat16()
    known = torch.linalg.svdvals(features.double())[-1].square()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = bss(features)
    torch.testing.assert_close(found.double(), known, rtol=1e-6, atol=0)


def test_bss_of_a_diverged_batch_is_nan() -> None:
    assert torch.isnan(bss(torch.tensor([[1.0, torch.inf], [0.0, 1.0]])))


def test_bss_refuses() -> None:
    with pytest.raises(OptionError, match="at least 1"):
        bss(torch.ones(2, 2), 0)
    for wrong in (torch.ones(2), torch.ones(2, 2, dtype=torch.int64)):
        with pytest.raises(OptionError, match="matrix of floats"):
            bss(wrong)


def test_mixup_mixes_inputs_and_targets_alike() -> None:
    target = torch.eye(6)
    x = torch.randn(6, 3, 4, 4, generator=seeded(5)).contiguous(memory_format=torch.channels_last)
    shares = []
    for seed in range(300):
        mixed, soft = mixup(x, target, 0.4, seeded(seed))
        torch.testing.assert_close(mixed.flatten(1), soft @ x.flatten(1), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(soft.sum(dim=1), torch.ones(6))
        torch.testing.assert_close(soft.sum(dim=0), torch.ones(6))  # a permutation
        moved = soft.diagonal()[soft.diagonal() < 1 - 1e-6]
        if len(moved):  # an image that met another one tells the share
            shares.append(moved[0].item())
    assert mixed.is_contiguous(memory_format=torch.channels_last)
    # Beta(a, a) has mean 1/2 and variance 1 / (4 (2a + 1))
    assert abs(np.mean(shares) - 0.5) < 0.08
    assert abs(np.var(shares) - 1 / (4 * 1.8)) < 0.03


def test_mixup_is_drawn_from_the_generator() -> None:
    x, target = torch.randn(5, 2, generator=seeded(6)), torch.eye(5)
    first, again, other = (mixup(x, target, 1.0, seeded(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert mixup(x, target, 0.0, seeded())[0] is x
    assert mixup(x[:1], target[:1], 0.5, seeded())[0].tolist() == x[:1].tolist()
    assert torch.isfinite(mixup(x, target, 1e-4, seeded())[0]).all()


def test_mixup_refuses() -> None:
    x, target = torch.ones(3, 2), torch.ones(3, 2)
    for alpha in (-1.0, float("nan")):
        with pytest.raises(OptionError, match="alpha"):
            mixup(x, target, alpha, seeded())
    with pytest.raises(OptionError, match="only floats"):
        mixup(x, target.long(), 0.2, seeded())
    with pytest.raises(OptionError, match="one target"):
        mixup(x, target[:2], 0.2, seeded())


SPECIAL = torch.tensor([1, 2])


def tokens() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(5, 90, (200, 20), generator=seeded(7))
    ids[:, 0], ids[:, 14] = 1, 2
    mask = torch.ones_like(ids)
    ids[:, 15:], mask[:, 15:] = 0, 0
    return ids, mask


def test_only_free_tokens_are_masked_and_about_the_share_of_them() -> None:
    ids, mask = tokens()
    kept = ids.clone()
    found = mask_tokens(ids, mask, 0.2, 99, SPECIAL, seeded())
    assert torch.equal(ids, kept)
    changed = found != ids
    assert (found[changed] == 99).all()
    assert not changed[:, 0].any()
    assert not changed[:, 14:].any()
    assert abs(changed[:, 1:14].float().mean().item() - 0.2) < 0.03
    assert torch.equal(found, mask_tokens(ids, mask.bool(), 0.2, 99, SPECIAL, seeded()))


def test_none_and_all_are_shares_too() -> None:
    ids, mask = tokens()
    assert torch.equal(mask_tokens(ids, mask, 0.0, 99, SPECIAL, seeded()), ids)
    every = mask_tokens(ids, mask, 1.0, 99, SPECIAL, seeded())
    assert (every[:, 1:14] == 99).all()
    assert torch.equal(every[:, [0, 14, 19]], ids[:, [0, 14, 19]])
    no_special = mask_tokens(ids, mask, 1.0, 99, torch.tensor([]), seeded())
    assert (no_special[:, :15] == 99).all()


def test_masking_refuses() -> None:
    ids, mask = tokens()
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(OptionError, match="0 to 1"):
            mask_tokens(ids, mask, share, 99, SPECIAL, seeded())
    with pytest.raises(OptionError, match="same shape"):
        mask_tokens(ids, mask[:, :3], 0.1, 99, SPECIAL, seeded())
    with pytest.raises(OptionError, match="by their ids"):
        mask_tokens(ids, mask, 0.1, 99, mask.bool(), seeded())
