"""Feature augmentation: its fold, its kernel, agreement on unlabelled rows, and its guard."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator

from headstart.core.errors import OptionError
from headstart.strategies.adaptation import FeatureAugmentation, SourceOnly
from headstart.strategies.adaptation.augmentation import augmented


def domains(m: int = 50, seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    X, T = rng.normal(size=(120, 3)), rng.normal(size=(m, 3))
    y = (X @ [1.0, 1.0, 0.0] > 0).astype(int)
    return X, y, T, (T @ [1.0, -1.0, 0.0] > 0.3).astype(int)


def test_adapt_augmentation_has_the_kernel_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 3))
    here, there = augmented(X, "source"), augmented(X, "target")
    plain = X @ X.T
    np.testing.assert_allclose(here @ here.T, 2 * plain + 1)  # the copies have a constant
    np.testing.assert_allclose(there @ there.T, 2 * plain + 1)
    np.testing.assert_allclose(here @ there.T, plain)
    both = augmented(X, "both")
    wide = np.hstack([X, np.ones((4, 1))])
    weights = rng.normal(size=11)
    differ = wide @ weights[3:7] - wide @ weights[7:]
    np.testing.assert_allclose(both @ weights, differ)


def test_adapt_augmentation_folds_to_what_the_wide_model_says_of_the_target() -> None:
    X, y, T, t = domains()
    wide = LogisticRegression(tol=1e-10, max_iter=10000)
    rows = np.vstack([augmented(X, "source"), augmented(T, "target")])
    wide.fit(rows, np.concatenate([y, t]))
    # two columns of opposite sign have half the penalty of their difference
    model = FeatureAugmentation(scale=False, guarded=False, C=0.5).fit(X, y, T, t)
    scores = model.form_.coef[:, 1] - model.form_.coef[:, 0]
    theirs = wide.coef_[0]
    np.testing.assert_allclose(scores, theirs[:3] + theirs[7:10], rtol=2e-3, atol=2e-3)
    both = model.predict_proba(T)[:, 1]
    np.testing.assert_allclose(both, wide.predict_proba(augmented(T, "target"))[:, 1], atol=2e-3)


def test_adapt_augmentation_learns_a_part_of_the_rule_anew() -> None:
    X, y, T, t = domains(450)
    known = np.array([None] * 450, dtype=object)
    known[:50] = t[:50]
    model = FeatureAugmentation().fit(X, y, T, known)
    source = SourceOnly().fit(X, y, T)
    assert model.decisions_[0].what == "augmented"
    right = [(one.predict(T[50:]) == t[50:]).mean() for one in (model, source)]
    assert right[0] > right[1] + 0.2
    again = FeatureAugmentation.from_state(model.to_state())
    assert (again.predict_proba(T) == model.predict_proba(T)).all()


def test_adapt_augmentation_stays_at_the_source_with_three_labels_of_no_shift() -> None:
    X, y, T, _ = domains(40)
    known = [*(T[:3] @ [1.0, 1.0, 0.0] > 0).astype(int), *([None] * 37)]
    model = FeatureAugmentation().fit(X, y, T, known)
    assert model.decisions_[0].what == "source-only"
    assert (model.predict_proba(T) == SourceOnly().fit(X, y, T).predict_proba(T)).all()
    one = FeatureAugmentation().fit(X, y, T[:3], [1, None, None])
    assert one.decisions_[0].what == "source-only"
    assert FeatureAugmentation().fit(X, y, T).decisions_[0].what == "source-only"


def test_adapt_augmentation_agreement_draws_the_target_towards_the_source() -> None:
    X, y, T, t = domains(200)
    known = np.array([None] * 200, dtype=object)
    known[:20] = t[:20]

    def far(agreement: float) -> float:
        model = FeatureAugmentation(agreement=agreement, guarded=False).fit(X, y, T, known)
        source = SourceOnly().fit(X, y, T)
        return float(np.abs(model.predict_proba(T) - source.predict_proba(T)).mean())

    assert far(10.0) < far(1.0) < far(0.0)


def test_adapt_augmentation_share_of_the_target() -> None:
    X, y, T, t = domains(20)
    low = FeatureAugmentation(target_share=0.001, guarded=False).fit(X, y, T, t)
    high = FeatureAugmentation(target_share=0.9, guarded=False).fit(X, y, T, t)
    assert (high.predict(T) == t).mean() > (low.predict(T) == t).mean()
    for share in (0.0, 1.0):
        with pytest.raises(OptionError, match="a share lies between 0 and 1"):
            FeatureAugmentation(target_share=share).fit(X, y, T, t)
    with pytest.raises(OptionError, match="agreement: must not be negative"):
        FeatureAugmentation(agreement=-1.0).fit(X, y, T, t)


@pytest.mark.filterwarnings("ignore")
def test_adapt_augmentation_keeps_the_contract_of_scikit_learn() -> None:
    check_estimator(FeatureAugmentation())
