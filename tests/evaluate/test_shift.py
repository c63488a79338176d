"""Shifts: each simulated kind is named, none is imagined, and the numbers are those of others."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, ks_2samp
from sklearn.metrics import roc_auc_score

from headstart.core.errors import DataError
from headstart.evaluate import shift_labels
from headstart.evaluate.shift import VERDICTS, measure_shift
from headstart.evaluate.shift_domain import SOURCE, TARGET, domain_auc, domain_scores, draw, mmd
from headstart.evaluate.shift_features import Column, feature_shifts
from headstart.evaluate.shift_labels import (
    estimate_shares,
    homogeneous,
    label_shift,
    source_scores,
)

TABLE = pd.DataFrame({"a": [1, 2, 3, 4]})
NONE = np.zeros(0, np.int64)


def drawn(rng, n, shares=(0.5, 0.5), d=4):
    """Two classes, told apart by the first two features."""
    y = rng.choice(len(shares), n, p=shares)
    X = rng.normal(size=(n, d))
    X[:, 0] += 2 * y
    X[:, 1] += y
    return X, y


def none(rng):
    return drawn(rng, 200), drawn(rng, 150)


def covariate(rng):
    X, y = drawn(rng, 3000)
    more = 1 / (1 + np.exp(-3 * X[:, 2]))
    keep = np.flatnonzero(rng.random(3000) < more)[:300]
    return drawn(rng, 300), (X[keep], y[keep])


def label(rng):
    return drawn(rng, 300), drawn(rng, 300, (0.85, 0.15))


def conditional(rng):
    X, y = drawn(rng, 300)
    return drawn(rng, 300), (X, np.where(X[:, 3] > 0, 1 - y, y))


def subspace(rng):
    X, y = drawn(rng, 300)
    turn = np.eye(4)
    turn[0, 0] = turn[2, 2] = np.cos(1.0)
    turn[0, 2], turn[2, 0] = np.sin(1.0), -np.sin(1.0)
    return drawn(rng, 300), (X @ turn, y)


def verdicts(kind, runs, *, labels):
    found = []
    for seed in range(runs):
        (X, y), (target, real) = kind(np.random.default_rng(seed))
        shift = measure_shift(X, y, target, real if labels else None, seed=seed)
        found.append(shift.verdict)
    return found


@pytest.mark.parametrize("labels", [False, True])
def test_no_shift_is_called_none(labels):
    assert verdicts(none, 20, labels=labels).count("none") >= 18


@pytest.mark.parametrize(
    ("kind", "labels", "allowed"),
    [
        (covariate, False, {"covariate", "covariate and label"}),
        (covariate, True, {"covariate", "covariate and label"}),
        (label, False, {"label"}),
        (label, True, {"label"}),
        (conditional, False, {"none"}),
        (conditional, True, {"conditional suspected"}),
        (subspace, False, {"covariate", "covariate and label"}),
        (subspace, True, {"covariate", "covariate and label", "conditional suspected"}),
    ],
)
def test_each_kind_of_shift_is_named(kind, labels, allowed):
    found = verdicts(kind, 8, labels=labels)
    assert sum(one in allowed for one in found) >= 7
    assert set(found) <= set(VERDICTS)


def test_without_target_labels_it_is_always_said_what_cannot_be_known():
    for kind in (none, covariate, label):
        (X, y), (target, real) = kind(np.random.default_rng(0))
        assert "conditional shift" in measure_shift(X, y, target).sentences()[-1]
        assert "conditional shift" not in measure_shift(X, y, target, real).sentences()[-1]


def test_the_area_is_the_mean_of_the_areas_of_the_folds():
    rng = np.random.default_rng(0)
    sample = draw(rng.normal(size=(90, 3)), rng.normal(size=(70, 3)) + 0.5, NONE, rng)
    scores = domain_scores(sample)
    areas, sizes = [], []
    for _, held in sample.folds():
        areas.append(roc_auc_score(sample.side[held], scores[held]))
        sizes.append(held.sum())
    area, p = domain_auc(sample, scores)
    assert area.estimate == pytest.approx(np.average(areas, weights=sizes), abs=1e-12)
    assert area.low < area.estimate < area.high
    assert p < 0.05


def test_copies_in_both_domains_neither_leak_nor_alarm():
    """Two halves with many rows in common, and rows drawn with repeats: no difference."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(120, 60))
    source = rows[rng.integers(0, 120, 160)]
    target = rows[rng.integers(0, 120, 160)]
    sample = draw(source, target, NONE, rng)
    ours = {row.tobytes(): fold for row, fold in zip(sample.rows, sample.fold, strict=True)}
    assert all(
        ours[row.tobytes()] == fold for row, fold in zip(sample.rows, sample.fold, strict=True)
    )
    assert len(sample.of(SOURCE)) == len(np.unique(source, axis=0))
    assert len(sample.of(TARGET)) == len(np.unique(target, axis=0))
    shift = measure_shift(source, rng.integers(0, 2, 160), target)
    assert shift.verdict == "none"
    assert shift.auc.estimate < 0.6
    assert any("Copies" in line for line in shift.sentences())


def copied(rng):
    """Both domains are alike, and rows of class 1 come twice in each."""
    found = []
    for n in (200, 150):
        X, y = drawn(rng, n)
        found.append((np.vstack([X, X[y == 1]]), np.concatenate([y, y[y == 1]])))
    return found[0], found[1]


def test_a_class_whose_rows_are_copied_is_not_more_frequent():
    assert verdicts(copied, 8, labels=True).count("none") >= 7


def test_labelled_rows_beyond_the_sample_are_counted_once():
    rng = np.random.default_rng(0)
    X, _ = drawn(rng, 300)
    target, _ = drawn(rng, 6000)
    target[100:200] = target[:100]
    sample = draw(X, target, np.arange(300), rng)
    theirs = sample.rows[sample.side != SOURCE]
    assert len(np.unique(theirs, axis=0)) == len(theirs)


def test_rows_of_a_table_of_indicators_are_no_copies():
    rng = np.random.default_rng(0)
    X = (rng.random((300, 3)) < 0.5).astype(float)
    target = (rng.random((300, 3)) < [0.5, 0.5, 0.8]).astype(float)
    shift = measure_shift(X, rng.integers(0, 2, 300), target, names=["a", "b", "c"])
    assert shift.copies == (0, 0, 0)
    assert shift.verdict == "covariate"
    assert shift.features[0].name == "c"
    assert shift.features[0].test == "chi-square"


def test_discrepancy_by_hand_and_its_p_value_is_uniform():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(12, 2)), rng.normal(size=(9, 2)) + 1
    both = np.vstack([first, second])
    apart = ((both[:, None] - both[None]) ** 2).sum(axis=2)
    kernel = np.exp(-apart / np.median(apart[np.triu_indices(21, 1)]))
    ours, theirs, across = kernel[:12, :12], kernel[12:, 12:], kernel[:12, 12:]
    by_hand = (
        (ours.sum() - 12) / (12 * 11) + (theirs.sum() - 9) / (9 * 8) - 2 * across.sum() / (12 * 9)
    )
    assert mmd(first, second, rng)[0] == pytest.approx(by_hand, abs=1e-5)
    same = [mmd(*rng.normal(size=(2, 25, 2)), rng, permutations=99)[1] for _ in range(200)]
    assert np.mean(np.array(same) <= 0.1) == pytest.approx(0.1, abs=0.06)


def test_shares_are_recovered_exactly_from_exact_rates():
    rng = np.random.default_rng(0)
    joint = rng.random((4, 4)) + 3 * np.eye(4)
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    guesses = joint / joint.sum(axis=0) @ shares
    assert estimate_shares(100 * joint, guesses) == pytest.approx(shares, abs=1e-12)


def test_estimated_shares_hold_the_truth_in_their_intervals(monkeypatch):
    """The two tests of whether shares explain the shift are left out: they cost the most."""
    monkeypatch.setattr(shift_labels, "_mixture", lambda *_: 1.0)
    monkeypatch.setattr(shift_labels, "mmd", lambda *_: (0.0, 1.0))
    inside = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        (X, y), (target, _) = drawn(rng, 400), drawn(rng, 400, (0.8, 0.2))
        sample = draw(X, target, NONE, rng)
        codes = np.where(sample.side == SOURCE, np.append(y, y)[sample.origin], -1)
        scores = source_scores(sample, codes, np.array(["a", "b"]))
        share = label_shift(sample, scores, None, rng).shares[0]
        inside += share.low <= 0.8 <= share.high
    assert inside >= 17


def test_columns_as_scipy_tests_them_and_holm_by_hand():
    rng = np.random.default_rng(0)
    columns = [
        Column("same", rng.normal(size=80), rng.normal(size=60)),
        Column("moved", rng.normal(size=80), rng.normal(size=60) + 0.6),
        Column("flag", rng.integers(0, 2, 80) * 1.0, (rng.random(60) < 0.8) * 1.0),
        Column("constant", np.ones(80), np.ones(60)),
    ]
    found = {one.name: one for one in feature_shifts(columns, np.arange(80), np.arange(60))}
    assert found["moved"].p == pytest.approx(
        ks_2samp(columns[1].source, columns[1].target, method="asymp").pvalue
    )
    table = [np.bincount(side.astype(int)) for side in (columns[2].source, columns[2].target)]
    assert found["flag"].p == pytest.approx(chi2_contingency(table, correction=False).pvalue)
    assert found["constant"].p == 1.0
    assert found["constant"].difference == 0.0
    ordered = sorted(one.p for one in found.values())
    wanted, highest = [], 0.0
    for rank, p in enumerate(ordered):
        highest = max(highest, min(1.0, p * (4 - rank)))
        wanted.append(highest)
    assert sorted(one.p_adjusted for one in found.values()) == pytest.approx(wanted)
    assert found["moved"].difference == pytest.approx(
        (columns[1].target.mean() - columns[1].source.mean())
        / np.sqrt((columns[1].source.var() + columns[1].target.var()) / 2)
    )


def test_data_frames_with_categories():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.normal(size=200), "city": rng.choice(["x", "y", "z"], 200)})
    other = pd.DataFrame(
        {"age": rng.normal(size=150), "city": rng.choice(["x", "y", "z"], 150, p=[0.8, 0.1, 0.1])}
    )
    shift = measure_shift(frame, rng.choice(["a", "b"], 200), other)
    assert shift.verdict == "covariate"
    assert [one.name for one in shift.features] == ["city", "age"]
    with pytest.raises(DataError, match="other columns"):
        measure_shift(frame, ["a"] * 200, other.rename(columns={"age": "years"}))


def mixed(rng, n, towns=None, gone=0.1):
    """A table of numbers, dates and categories, some missing."""
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 9, n),
            "town": rng.choice(["Ulm", "Bonn", "Kiel", "Trier"], n, p=towns).astype(object),
            "seen": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n), "D"),
            "sick": pd.array(rng.random(n) < 0.4, dtype="boolean"),
        }
    )
    for name in frame.columns:
        frame.loc[rng.random(n) < 0.1, name] = None
    frame.loc[rng.random(n) < gone, "age"] = None
    return frame


def test_each_column_of_a_table_is_tested_once():
    """X holds indicators of every town; Holm counts columns, as scipy tests them."""
    rng = np.random.default_rng(0)
    frame, other = mixed(rng, 200), mixed(rng, 150, [0.6, 0.2, 0.1, 0.1])
    X, T = rng.normal(size=(200, 9)), rng.normal(size=(150, 9))
    shift = measure_shift(X, rng.integers(0, 2, 200), T, columns=(frame, other))
    found = {one.name: one for one in shift.features}
    assert found.keys() == set(frame.columns)
    table = pd.crosstab(
        np.repeat([0, 1], [200, 150]), pd.concat([frame, other])["town"].fillna("?").to_numpy()
    )
    p = chi2_contingency(table, correction=False).pvalue
    assert found["town"].p == pytest.approx(p)
    assert found["town"].p_adjusted == pytest.approx(4 * p)
    ages = [ks_2samp(frame["age"].dropna(), other["age"].dropna(), method="asymp").pvalue]
    counts = [[side["age"].isna().sum(), side["age"].notna().sum()] for side in (frame, other)]
    ages.append(chi2_contingency(counts, correction=False).pvalue)
    assert found["age"].p == pytest.approx(min(1.0, 2 * min(ages)))
    days = [side["seen"].dropna().astype("datetime64[ns]").astype(int) for side in (frame, other)]
    assert found["seen"].p <= 2 * ks_2samp(*days, method="asymp").pvalue + 1e-12
    assert "1 of 4 columns" in str(shift)


def test_numbers_that_are_missing_more_often():
    rng = np.random.default_rng(1)
    frame, other = mixed(rng, 200), mixed(rng, 150, gone=0.5)
    shift = measure_shift(
        rng.normal(size=(200, 2)), [0, 1] * 100, rng.normal(size=(150, 2)), columns=(frame, other)
    )
    first = shift.features[0]
    assert (first.name, first.test) == ("age", "chi-square")
    assert first.difference == pytest.approx(
        other["age"].isna().mean() - frame["age"].isna().mean()
    )
    assert shift.verdict == "covariate"
    other["age"] = np.nan
    frame["town"], other["town"] = 3, 4.0
    more = measure_shift(np.eye(200), [0, 1] * 100, np.eye(150, 200), columns=(frame, other))
    found = {one.name: one for one in more.features}
    assert found["age"].difference > 0.7
    assert found["town"].difference == 99.0


def test_rare_classes_are_counted_together():
    first, second = np.array([0] * 50 + [1] * 50 + [2, 3]), np.array([0] * 50 + [1] * 50 + [4, 5])
    assert homogeneous(first, second, 6) > 0.9
    assert homogeneous(first, np.zeros(0, int), 6) == 1.0
    assert homogeneous(np.zeros(9, int), np.zeros(9, int), 1) == 1.0


def test_target_of_three_rows_one_class_and_constant_features():
    rng = np.random.default_rng(0)
    X, y = drawn(rng, 60)
    few = measure_shift(X, y, X[:3])
    assert few.auc is None
    assert few.verdict == "none"
    assert "too few" in few.sentences()[1]
    one = measure_shift(X, ["a"] * 60, X + 3)
    assert one.label is None
    assert one.verdict == "covariate"
    assert any("one class" in line for line in one.sentences())
    flat = measure_shift(np.ones((30, 2)), y[:30], np.ones((20, 2)), names=["a", "b"])
    assert flat.verdict == "none"
    same = measure_shift(X, y, X, y)
    assert same.verdict == "none"
    assert same.copies == (0, 0, 60)


def test_labels_of_a_part_of_a_large_target_are_all_used():
    rng = np.random.default_rng(0)
    X, y = drawn(rng, 500)
    target, real = drawn(rng, 9000)
    partly = [None] * 9000
    for at in rng.choice(9000, 60, replace=False):
        partly[at] = int(real[at])
    shift = measure_shift(X, y, target, partly)
    assert shift.n_labels == shift.errors.n == 60
    assert shift.verdict == "none"
    assert abs(shift.errors.drop) < 0.15


def test_json_is_plain_and_the_seed_decides():
    (X, y), (target, real) = label(np.random.default_rng(3))
    names = ["a", "b", "c", "d"]
    first = measure_shift(X, y, target, real, names=names, seed=1)
    text = json.dumps(first.to_json())
    assert text == json.dumps(measure_shift(X, y, target, real, names=names, seed=1).to_json())
    loaded = json.loads(text)
    assert loaded["verdict"] == "label"
    assert loaded["label"]["explains"] is True
    assert loaded["sentences"][0].startswith("Label shift")
    assert str(first).startswith("Label shift")
    assert sum(one["target"] for one in loaded["label"]["shares"]) == pytest.approx(1.0)


def test_classes_that_cannot_be_told_apart_get_no_shares():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    shift = measure_shift(X, rng.integers(0, 8, 400), rng.normal(size=(300, 3)) + 2)
    assert shift.label.shares == ()
    assert shift.verdict != "label"
    assert any("confuses" in line for line in shift.sentences())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"X_target": np.ones((3, 3))}, "other features"),
        ({"X_target": np.array([[1.0, np.nan]])}, "NaN"),
        ({"X_target": np.zeros((0, 2))}, "rows of features"),
        ({"X": [["a", "b"]] * 4}, "no numbers"),
        ({"y": [0, 1]}, "differ in number"),
        ({"y": [0, 1, None, 1]}, "without a label"),
        ({"y_target": [0]}, "differ in number"),
        ({"names": ["a"]}, "needs one name"),
        ({"columns": (TABLE[:3], TABLE[:3])}, "other rows"),
        ({"columns": (TABLE, TABLE[:3].rename(columns={"a": "b"}))}, "other columns"),
    ],
)
def test_what_cannot_be_measured_is_refused(change, match):
    given = {
        "X": np.arange(8.0).reshape(4, 2),
        "y": [0, 1, 0, 1],
        "X_target": np.ones((3, 2)),
        "y_target": None,
        "names": None,
        "columns": None,
    } | change
    with pytest.raises(DataError, match=match):
        measure_shift(
            given["X"],
            given["y"],
            given["X_target"],
            given["y_target"],
            names=given["names"],
            columns=given["columns"],
        )
