"""What is said of a curve: its JSON, and the sentences."""

from __future__ import annotations

import json

import numpy as np
import pytest

from headstart.evaluate.curve import assembled
from headstart.evaluate.curve_facts import facts, points, sentences

SIZES = np.array([1.0, 2, 4, 8, 16])


def curve(transfer, scratch, *, noise=0.004, sizes=SIZES, metric="accuracy", unit=None):
    rng = np.random.default_rng(0)
    means = np.stack([transfer, scratch], axis=1)
    moved = means + rng.normal(size=(300, len(sizes), 2)) * noise
    return assembled(
        metric,
        np.asarray(sizes, float),
        list(means[:, None]),
        moved,
        unit=unit or "labels a class",
        transfer="minilm + probe",
    )


def rising(n):
    return 0.95 - 0.5 * np.asarray(n, float) ** -0.7


def test_points_and_facts_are_json():
    found = curve(rising(4 * SIZES), rising(SIZES))
    rows = json.loads(json.dumps(points(found), allow_nan=False))
    assert [row["n_per_class"] for row in rows] == SIZES.tolist()
    assert set(rows[0]["transfer"]) == {"estimate", "low", "high"}
    said = json.loads(json.dumps(facts(found), allow_nan=False))
    assert said["forecast"]["transfer"]["more"] == 16
    assert said["time_to_threshold"]["scratch"]["estimate"] == 16
    assert said["asymptote"]["limit"]["low"] < 0.03
    assert said["no_forecast"] is None
    censored = facts(curve(0.9 + 0 * SIZES, 0.2 + 0 * SIZES))
    json.dumps(censored, allow_nan=False)


def test_without_a_forecast_the_reason_is_there():
    found = curve(np.array([0.5, 0.6]), np.array([0.4, 0.5]), sizes=[1, 2])
    said = facts(found)
    assert (said["forecast"], said["asymptote"]["limit"]) == (None, None)
    assert "at least 3 points" in said["no_forecast"]
    assert "No forecast" in sentences(found)[-1]


def test_the_sentences():
    better, forecast = sentences(curve(rising(4 * SIZES), rising(SIZES)))
    assert better.startswith("Scratch would need about 4 [3.")
    assert "16 labels a class do for it what 4 do for transfer" in better
    assert forecast.startswith("16 more labels a class would bring minilm + probe about +")
    worse, of_scratch = sentences(curve(rising(SIZES), rising(4 * SIZES)), transferred=False)
    assert worse.startswith("Scratch needs about 0.25 [0.")
    assert "would bring scratch about +" in of_scratch
    never = sentences(curve(0.9 + 0 * SIZES, 0.2 + 0 * SIZES))[0]
    assert never.startswith("Scratch would need more than 16 times as many labels")
    other = sentences(curve(0.2 + 0 * SIZES, 0.9 + 0 * SIZES))[0]
    assert other.startswith("Transfer would need more than 16 times as many labels")
    open_ended = sentences(curve(rising(12 * SIZES), rising(SIZES), noise=0.02))[0]
    assert "> 16]" in open_ended


def test_errors_are_said_in_their_own_unit():
    found = curve(2 * SIZES**-0.5, 3 * SIZES**-0.5, metric="rmse", unit="labels")
    assert [row["n"] for row in points(found)] == SIZES.tolist()
    assert sentences(found)[1].endswith("rmse less (a power law through the curve).")
    single = curve(np.array([0.5]), np.array([0.4]), sizes=[5])
    assert len(sentences(single)) == 1
    assert facts(single)["area_ratio"] is None
    assert facts(single)["jumpstart"]["estimate"] == pytest.approx(0.1)
