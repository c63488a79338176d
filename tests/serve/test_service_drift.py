"""The drift watch: silent on what is alike, loud on what has shifted."""

from __future__ import annotations

import numpy as np
import pytest
from service_fakes import Length

from headstart.serve.drift import (
    ALPHA,
    Reference,
    Watch,
    class_mix,
    mean_shift,
    numbers,
    two_samples,
)
from headstart.serve.logs import Logs
from headstart.serve.predictor import Answer
from headstart.serve.service import Service
from headstart.serve.settings import Settings


class World:
    """A model's world: features about class means, confidences, three classes, a table."""

    def __init__(self, seed, d=40, shift=0.0, mix=(0.5, 0.3, 0.2)):
        self.rng, self.shift, self.mix = np.random.default_rng(seed), shift, mix
        self.means = np.random.default_rng(7).normal(0, 1, (3, d))

    def draw(self, n):
        codes = self.rng.choice(3, n, p=self.mix)
        features = self.means[codes] + self.rng.standard_t(5, (n, self.means.shape[1]))
        features[:, :5] += self.shift
        sure = self.rng.beta(8 - 4 * min(1.0, self.shift), 2, n)
        width = self.rng.lognormal(0, 0.5, n) + self.shift
        answers = [
            Answer("abc"[code], float(c), False, (), row)
            for code, c, row in zip(codes, sure, features, strict=True)
        ]
        return [{"width": float(w)} for w in width], answers

    def reference(self, n=600):
        rows, answers = self.draw(n)
        labels = [str(a.label) for a in answers]
        return Reference(
            np.array([a.confidence for a in answers]),
            {name: labels.count(name) for name in "abc"},
            np.stack([a.features for a in answers]),
            {"width": np.array([row["width"] for row in rows])},
        )


def watched(reference, world, windows, window=200):
    told = []
    watch = Watch(reference, told.append, window=window)
    rows, answers = world.draw(windows * window)
    watch.take(rows, answers)
    return watch, told


def test_false_alarms_are_as_rare_as_promised():
    """12 references, 20 windows each: at 0.001 a window 0.24 alarms are expected, 5 are not."""
    alarms = 0
    pvalues = []
    for seed in range(12):
        world = World(seed, d=20)
        watch, told = watched(world.reference(), world, 20)
        assert watch.tests == ["confidence", "classes", "features", "columns"]
        alarms += sum(any(one.alarm for one in window) for window in told)
        pvalues += [one.p_value for window in told for one in window]
    assert alarms <= 4  # P(Poisson(0.24) > 4) is 1e-5
    # windows against one reference share its noise, so the rate is looked at with room
    assert np.mean(np.array(pvalues) < 0.05) < 0.09


@pytest.mark.parametrize(
    ("changed", "test"),
    [
        ({"shift": 1.0}, "features"),
        ({"shift": 1.0}, "confidence"),
        ({"shift": 1.0}, "columns"),
        ({"mix": (0.2, 0.3, 0.5)}, "classes"),
        ({"mix": (0.2, 0.3, 0.5)}, "features"),
    ],
)
def test_shifts_raise_the_alarm(changed, test):
    found = []
    for seed in range(10):
        _, told = watched(World(seed).reference(), World(100 + seed, **changed), 2)
        found += [one.alarm for window in told for one in window if one.test == test]
    assert np.mean(found) >= 0.9


def test_windows_do_not_overlap_and_are_told_when_full():
    world = World(0)
    told = []
    watch = Watch(world.reference(), told.append, window=100)
    for _ in range(25):
        rows, answers = world.draw(10)
        watch.take(rows, answers)
    assert len(told) == 2


def test_nothing_is_watched_where_nothing_is_known():
    watch = Watch(Reference(), lambda found: 1 / 0)
    rows, answers = World(0).draw(500)
    watch.take(rows, answers)
    assert watch.tests == []


def test_kolmogorov_smirnov_against_its_definition():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 80), rng.normal(0.3, 1, 90)
    grid = np.concatenate([a, b])
    distance = max(abs((a <= x).mean() - (b <= x).mean()) for x in grid)
    p, size = two_samples(a, b)
    assert size == pytest.approx(distance)
    assert 0 < p < 1
    assert two_samples(a[:10], b) is None


def test_class_mixes_with_rare_classes():
    known = {"a": 500, "b": 480, **{f"rare {i}": 1 for i in range(20)}}
    p, index = class_mix({"a": 100, "b": 96, "rare 3": 4}, known)
    assert p > 0.5
    assert index < 0.05
    p, index = class_mix({"a": 10, "b": 186, "rare 3": 4}, known)
    assert p < 1e-6
    assert index > 0.5
    p, _ = class_mix({"new": 200}, {"a": 500, "b": 500})
    assert p < 1e-6
    assert class_mix({"a": 10}, known) is None
    assert class_mix({"a": 100}, {"a": 100}) is None


def test_shifts_of_a_mean_and_columns_of_text():
    rng = np.random.default_rng(0)
    p, size = mean_shift(rng.normal(1.0, 2, 200), 0.0, 2.0, 500)
    assert p < 1e-4
    assert size == pytest.approx(0.5, abs=0.15)
    assert mean_shift(np.zeros(200), 0.0, 0.0, 500) is None
    assert numbers(["1.5", None, "x", float("nan"), 2, True]).tolist() == [1.5, 2.0, 1.0]


def test_the_service_shows_drift_and_logs_alarms():
    import io

    class Drifting(Length):
        def reference(self):
            return World(0).reference()

    log = io.StringIO()
    service = Service(Drifting(), Settings(), logs=Logs(log))
    rows, answers = World(5, shift=2.0).draw(200)
    service.watch.take(rows, answers)
    text = service.metrics.text().decode()
    assert 'headstart_drift_alarm{test="features"} 1.0' in text
    assert "headstart_drift_windows_total 1.0" in text
    assert '"event": "drift"' in log.getvalue()
    assert ALPHA == 0.001
    assert service.info()["drift"]["window"] == 200
