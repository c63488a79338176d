"""Who takes part in a transfer between domains: by labels, domains, packages, and by name."""

from __future__ import annotations

import pytest

from headstart.core.errors import OptionError, UnknownNameError
from headstart.select import domain_plan as room
from headstart.select.domain_plan import plan_domains
from headstart.strategies.adaptation import ADAPTERS
from headstart.strategies.heterogeneous import HETEROGENEOUS


def test_without_labels_nothing_that_needs_them_takes_part_and_that_is_said() -> None:
    plan = plan_domains(None, n_labels=0, several=False, alike=True)
    assert "source-only" in plan.candidates
    assert not [name for name in plan.candidates if ADAPTERS[name].needs_labels]
    assert plan.guarded
    assert any("take no part" in str(one) for one in plan.decisions)


def test_labels_and_several_domains_bring_in_what_needs_them() -> None:
    few = plan_domains(None, n_labels=30, several=False, alike=True)
    assert {"target-only", "pooled"} <= set(few.candidates)
    assert not [name for name in few.candidates if ADAPTERS[name].several]
    several = plan_domains(None, n_labels=0, several=True, alike=True)
    assert {"per-source-mapping", "weighted-sources"} <= set(several.candidates)


def test_baselines_always_run_beside_what_is_named() -> None:
    plan = plan_domains("linear-ot", n_labels=30, several=False, alike=True)
    assert list(plan.candidates) == ["source-only", "linear-ot", "target-only", "pooled"]
    assert plan.wanted == "linear-ot"
    alone = plan_domains("source-only", n_labels=30, several=False, alike=True)
    assert list(alone.candidates) == ["source-only"]


def test_a_single_named_one_is_not_guarded_and_beside_source_only_it_is() -> None:
    free = plan_domains("linear-ot", n_labels=0, several=False, alike=True)
    assert list(free.candidates) == ["source-only", "linear-ot"]
    assert not free.guarded
    assert "linear-ot will be handed back" in str(free.decisions[-1])
    both = plan_domains(("linear-ot", "source-only"), n_labels=0, several=False, alike=True)
    assert both.guarded
    assert plan_domains(("coral", "linear-ot"), n_labels=0, several=False, alike=True).guarded


def test_the_seed_reaches_every_adapter_that_has_one() -> None:
    plan = plan_domains("mcc", n_labels=0, several=False, alike=True, seed=7)
    assert plan.candidates["mcc"].random_state == 7


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("linear-to", UnknownNameError, "linear-ot"),
        ("pooled", OptionError, "needs labels of some target items"),
        ("weighted-sources", OptionError, "several source domains"),
    ],
)
def test_what_cannot_take_part_is_refused_by_name(
    name: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        plan_domains(name, n_labels=0, several=False, alike=True)


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"POT: pip install 'headstart\[ot\]'"):
        plan_domains("entropic-ot", n_labels=0, several=False, alike=True)
    assert "entropic-ot" not in plan_domains(None, n_labels=0, several=False, alike=True).candidates


def test_different_features_with_labels_race_what_needs_labels() -> None:
    plan = plan_domains(None, n_labels=9, several=False, alike=False)
    assert set(plan.candidates) == {
        k for k, spec in HETEROGENEOUS.items() if spec.needs == "labels"
    }
    assert not plan.alike


@pytest.mark.parametrize(
    ("name", "labels", "message"),
    [
        (None, 0, "no column in common"),
        ("cross-domain-structure", 0, "needs labels of some target items"),
        ("paired-map", 9, "known in both domains"),
        ("linear-ot", 9, "linear-ot"),
    ],
)
def test_different_features_say_what_is_lacking(
    name: str | None, labels: int, message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        plan_domains(name, n_labels=labels, several=False, alike=False)


def test_gromov_wasserstein_goes_without_labels_where_it_is_named() -> None:
    plan = plan_domains("gromov-wasserstein", n_labels=0, several=False, alike=False)
    assert list(plan.candidates) == ["gromov-wasserstein"]
    assert not plan.guarded
