"""Behaviours that every strategy must have, crossed over the whole dict."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load, save
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from headstart import strategies
from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.core.types import Features, Pair, State, subset
from headstart.strategies import STRATEGIES, StrategySpec
from headstart.strategies.mel_statistics import WIDTH


def tried_on(name: str, spec: StrategySpec) -> tuple[str, ...]:
    """Return the modalities that tell something new of a strategy."""
    if name in ("scratch", "blend"):
        return spec.modalities
    return ("text",) if "text" in spec.modalities else spec.modalities[:1]


# those that must be told what the classes are like: test_by_classes.py
BY_LABELS = {name: spec for name, spec in STRATEGIES.items() if not spec.by_classes}
CASES = [
    pytest.param(name, modality, kind, id=f"{name}-{modality}-{kind}")
    for name, spec in BY_LABELS.items()
    for modality in tried_on(name, spec)
    for kind in ("classification", "regression")
    if spec.supports(kind, modality)  # type: ignore[arg-type]
]
CLASSIFIERS = [case for case in CASES if case.values[2] == "classification"]
ON_FEATURES = [
    pytest.param(name, path, id=path.split(":")[1])
    for name, spec in BY_LABELS.items()
    if spec.input == "features" and not spec.by_classes  # those cannot be fitted to labels alone
    for path in spec.classes.values()
]
FEATURE_CLASSIFIERS = [
    case
    for case in ON_FEATURES
    if STRATEGIES[case.values[0]].classes["classification"] in case.values
]
PUBLIC_ON_FEATURES = [
    getattr(strategies, case.values[1].split(":")[1])() for case in ON_FEATURES
] + [strategies.Majority(), strategies.MeanRegressor()]

# what the classes are like: the centres that `data` draws features around, and two attributes
CENTRES = dict(
    zip(("sad", "happy", "calm"), np.random.default_rng(99).normal(size=(3, 8)), strict=True)
)
TRAITS = {"sad": [1.0, 0.0], "happy": [0.0, 1.0], "calm": [1.0, 1.0]}
# the network of scratch on images takes minutes; test_scratch_image.py holds it to the same
QUICK: dict[tuple[str, str], dict[str, Any]] = {
    ("zero-shot", "text"): {"class_features": CENTRES},
    ("eszsl", "text"): {"class_features": TRAITS},
    ("conse", "image"): {
        "class_features": CENTRES,
        "name_features": np.eye(8),
        "classifier": (np.eye(8), np.zeros(8)),
        "top": 3,
    },
    ("weighted-layers", "text"): {},
    ("scratch", "image"): {"network": False},
    ("scratch", "audio"): {"network": False},
    ("blend", "image"): {"scratch_params": {"network": False}, "n_folds": 2},
    ("blend", "audio"): {"scratch_params": {"network": False}, "n_folds": 2},
}
WORDS = {"sad": "grey rain cold night lost", "happy": "bright sun warm day found", "calm": "sea"}


def data(name: str, modality: str, n: int = 36, *, seed: int = 0) -> tuple[Any, Any, Any]:
    """Return items or features, string labels and numbers, all related."""
    if STRATEGIES[name].combines:
        plain, labels, values = data("scratch", modality, n, seed=seed)
        return Pair(plain, data("probe", modality, n, seed=seed)[0]), labels, values
    rng = np.random.default_rng(seed)
    labels = np.array(["sad", "happy", "calm"], dtype=object)[np.arange(n) % 3]
    shift = np.arange(n) % 3
    values = shift + rng.normal(size=n) * 0.1
    if STRATEGIES[name].input == "features":
        centres = np.random.default_rng(99).normal(size=(3, 8)) * 2
        return centres[shift] + rng.normal(size=(n, 8)), labels, values
    if modality == "text":
        pick = [WORDS[label].split() for label in labels]
        return [" ".join(rng.choice(w, 4)) + f" {i}" for i, w in enumerate(pick)], labels, values
    if modality == "image":
        images = rng.integers(0, 120, size=(n, 32, 32, 3))
        images[..., 0] += (shift * 60)[:, None, None]
        return images.astype(np.uint8), labels, values
    if modality == "audio":
        rows = rng.normal(size=(n, WIDTH)) * 3
        rows[:, 5:25] += 6 * shift[:, None]
        return rows.astype(np.float32), labels, values
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    frame["a"] += shift * 2
    frame["colour"] = np.array(["red", "green", "blue"])[shift]
    return frame, labels, values


@functools.cache
def fitted(name: str, modality: str, kind: str) -> tuple[Any, Any, Any]:
    X, labels, values = data(name, modality)
    y = labels if kind == "classification" else values
    params = QUICK.get((name, modality), {"epochs": 2} if STRATEGIES[name].tunes else {})
    model = strategies.make(
        name,
        kind=kind,  # type: ignore[arg-type]
        modality=modality,  # type: ignore[arg-type]
        random_state=3,
        **params,
    )
    return model.fit(X, y), X, y


def output(model: Any, X: Any) -> Any:
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def through_disk(state: State) -> State:
    """Pass a state through the bytes a bundle holds."""
    assert all(isinstance(array, np.ndarray) for array in state.arrays.values())
    assert all(array.dtype.kind in "fiub" for array in state.arrays.values())
    arrays = load(save({key: np.ascontiguousarray(a) for key, a in state.arrays.items()}))
    return State(arrays, json.loads(json.dumps(state.meta, allow_nan=False)))


def as_bytes(state: State) -> bytes:
    arrays = {key: (a.dtype.str, a.shape, a.tobytes()) for key, a in sorted(state.arrays.items())}
    return repr(arrays).encode() + json.dumps(state.meta, sort_keys=True).encode()


def snapshot(X: Any) -> Any:
    if isinstance(X, Pair):
        return Pair(snapshot(X.scratch), snapshot(X.transfer))
    return X.copy(deep=True) if isinstance(X, pd.DataFrame) else (X.copy())


def assert_same(X: Any, before: Any) -> None:
    if isinstance(X, Pair):
        assert_same(X.scratch, before.scratch)
        assert_same(X.transfer, before.transfer)
    elif isinstance(X, pd.DataFrame):
        pd.testing.assert_frame_equal(X, before)
    else:
        assert np.array_equal(np.asarray(X), np.asarray(before))


@pytest.mark.parametrize(("name", "modality", "kind"), CASES)
def test_same_seed_same_bytes_and_data_left_alone(name: str, modality: str, kind: str) -> None:
    first, X, y = fitted(name, modality, kind)
    before_X, before_y = snapshot(X), y.copy()
    again = clone(first).fit(X, y)
    assert as_bytes(first.to_state()) == as_bytes(again.to_state())
    assert_same(X, before_X)
    assert np.array_equal(y, before_y)


@pytest.mark.parametrize(("name", "modality", "kind"), CASES)
def test_round_trip_predicts_the_same_bits(name: str, modality: str, kind: str) -> None:
    model, X, _ = fitted(name, modality, kind)
    state = through_disk(model.to_state())
    back = strategies.from_state(name, kind=kind, modality=modality, state=state)  # type: ignore[arg-type]
    assert type(back) is type(model)
    assert output(back, X).tobytes() == output(model, X).tobytes()
    assert np.array_equal(back.predict(X), model.predict(X))
    assert as_bytes(back.to_state()) == as_bytes(model.to_state())


@pytest.mark.parametrize(("name", "modality", "kind"), CASES)
def test_order_and_batch_size_do_not_matter(name: str, modality: str, kind: str) -> None:
    model, X, _ = fitted(name, modality, kind)
    whole = output(model, X)
    order = np.random.default_rng(1).permutation(len(whole))
    np.testing.assert_allclose(output(model, subset(X, order)), whole[order], rtol=1e-5, atol=1e-7)
    parts = [output(model, subset(X, order[i : i + 7])) for i in range(0, len(order), 7)]
    np.testing.assert_allclose(np.concatenate(parts), whole[order], rtol=1e-5, atol=1e-7)
    single = np.concatenate([output(model, subset(X, [i])) for i in order[:5]])
    np.testing.assert_allclose(single, whole[order[:5]], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("name", "modality", "kind"), CLASSIFIERS)
def test_probabilities_and_labels(name: str, modality: str, kind: str) -> None:
    model, X, _ = fitted(name, modality, kind)
    probabilities = model.predict_proba(X)
    assert model.classes_.tolist() == ["calm", "happy", "sad"]
    assert probabilities.shape == (36, 3)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-6)
    assert np.array_equal(model.predict(X), model.classes_[probabilities.argmax(axis=1)])
    assert all(isinstance(label, str) for label in model.predict(X))


@pytest.mark.parametrize(("name", "modality", "kind"), CASES)
def test_before_fit(name: str, modality: str, kind: str) -> None:
    model = strategies.make(name, kind=kind, modality=modality)  # type: ignore[arg-type]
    X, _, _ = data(name, modality, 3)
    with pytest.raises(NotFittedError):
        model.predict(X)
    with pytest.raises(NotFittedError):
        model.to_state()


@pytest.mark.parametrize(("name", "modality", "kind"), CASES)
def test_unknown_parameters(name: str, modality: str, kind: str) -> None:
    with pytest.raises(UnknownNameError, match="parameter of strategy"):
        strategies.make(name, kind=kind, modality=modality, no_such_thing=1)  # type: ignore[arg-type]
    model = strategies.make(name, kind=kind, modality=modality)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no_such_thing"):
        model.set_params(no_such_thing=1)


@parametrize_with_checks(PUBLIC_ON_FEATURES)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize(("name", "path"), FEATURE_CLASSIFIERS)
@pytest.mark.parametrize("n_classes", [2, 40])
def test_few_and_many_classes(name: str, path: str, n_classes: int) -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(n_classes, 24)) * 3
    codes = np.repeat(np.arange(n_classes), 4)
    X = centres[codes] + rng.normal(size=(len(codes), 24))
    model = strategies.make(name, kind="classification", modality="text").fit(X, codes)
    fresh = centres[codes] + rng.normal(size=X.shape)
    assert (model.predict(fresh) == codes).mean() > 0.9
    assert model.predict_proba(fresh).shape == (len(codes), n_classes)


@pytest.mark.parametrize(("name", "path"), FEATURE_CLASSIFIERS)
def test_one_row_a_class(name: str, path: str) -> None:
    X = np.eye(26) + 0.01
    labels = list("zyxwvutsrqponmlkjihgfedcba")
    model = strategies.make(name, kind="classification", modality="text").fit(X, labels)
    assert model.predict(X).tolist() == labels
    assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize(("name", "path"), FEATURE_CLASSIFIERS)
def test_some_classes_with_one_row(name: str, path: str) -> None:
    X = np.vstack([np.eye(3), np.eye(3)[:2] * 1.1])
    model = strategies.make(name, kind="classification", modality="text").fit(X, list("abcab"))
    assert model.predict(X).tolist() == list("abcab")


@pytest.mark.parametrize(("name", "path"), FEATURE_CLASSIFIERS)
def test_two_rows_and_one_class(name: str, path: str) -> None:
    make = strategies.make
    two = make(name, kind="classification", modality="text").fit(
        [[0.0, 1.0], [1.0, 0.0]], ["x", "y"]
    )
    assert two.predict([[0.1, 0.9]]).tolist() == ["x"]
    one = make(name, kind="classification", modality="text").fit([[0.0], [1.0], [2.0]], ["x"] * 3)
    assert one.predict([[5.0]]).tolist() == ["x"]
    assert one.predict_proba([[5.0]]).tolist() == [[1.0]]


@pytest.mark.parametrize(("name", "path"), FEATURE_CLASSIFIERS)
def test_unbalanced_one_to_a_hundred(name: str, path: str) -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(404, 6))
    labels = np.array(["common"] * 400 + ["rare"] * 4)
    X[400:] += 8.0
    model = strategies.make(name, kind="classification", modality="text").fit(X, labels)
    assert (model.predict(rng.normal(size=(20, 6)) + 8.0) == "rare").mean() > 0.9
    assert (model.predict(rng.normal(size=(20, 6))) == "common").all()


@pytest.mark.parametrize(("name", "path"), ON_FEATURES)
def test_duplicates_and_constant_features(name: str, path: str) -> None:
    X = np.ones((12, 4))
    y = np.arange(12) % 2
    model = strategies.base.resolve(path)()
    same = output(model.fit(X, y), X)
    assert np.isfinite(same).all()
    np.testing.assert_allclose(same, 0.5, atol=0.2)
    X[:, 1] = y
    assert (np.round(model.fit(X, y).predict(X)) == y).all()


@pytest.mark.parametrize(("name", "path"), ON_FEATURES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_refused(name: str, path: str, bad: float) -> None:
    X = np.eye(4)
    X[1, 2] = bad
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        strategies.base.resolve(path)().fit(X, [0, 1, 0, 1])
    model = strategies.base.resolve(path)().fit(np.eye(4), [0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        model.predict(X)


@pytest.mark.parametrize(("name", "path"), FEATURE_CLASSIFIERS)
def test_grid_search_and_label_kinds(name: str, path: str) -> None:
    X, labels, _ = data(name, "text")
    cls = strategies.base.resolve(path)
    grid = GridSearchCV(cls(), {"source": [None]}, cv=3, error_score="raise").fit(X, labels)
    assert grid.best_score_ > 0.6
    for given in (labels.astype(str), np.arange(36) % 3, (np.arange(36) % 3).astype(bool)):
        model = cls().fit(X, given)
        back = cls.from_state(through_disk(model.to_state()))
        assert back.classes_.dtype == model.classes_.dtype
        assert np.array_equal(back.predict(X), model.predict(X))


@pytest.mark.parametrize(("name", "path"), FEATURE_CLASSIFIERS)
def test_labels_of_mixed_types_are_refused(name: str, path: str) -> None:
    mixed = np.array(["a", 1, "b", 2], dtype=object)
    with pytest.raises(DataError, match="different types"):
        strategies.base.resolve(path)().fit(np.eye(4), mixed)


@pytest.mark.parametrize(("name", "path"), ON_FEATURES)
def test_features_objects_and_float32(name: str, path: str) -> None:
    X, labels, values = data(name, "text")
    y = values if path.endswith("Regressor") else labels
    cls = strategies.base.resolve(path)
    wide, narrow = cls().fit(X, y), cls().fit(Features(X.astype(np.float32)), y)
    np.testing.assert_allclose(output(narrow, Features(X)), output(wide, X), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(("name", "path"), ON_FEATURES)
def test_items_are_encoded_where_a_source_is_named(
    name: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import headstart.encode
    import headstart.sources

    X, labels, values = data(name, "text")
    y = values if path.endswith("Regressor") else labels
    items = [f"item {i}" for i in range(36)]
    loaded = object()
    monkeypatch.setattr(headstart.sources, "load", {"tiny": loaded}.__getitem__, raising=False)

    def features(given: list[str], backbone: object) -> Features:
        assert backbone is loaded
        return Features(X[[int(text.split()[1]) for text in given]])

    monkeypatch.setattr(headstart.encode, "features", features, raising=False)
    cls = strategies.base.resolve(path)
    model = cls(source="tiny").fit(items, y)
    assert np.array_equal(model.predict(items[::-1]), cls().fit(X, y).predict(X[::-1]))
    back = cls.from_state(through_disk(model.to_state()))
    assert back.source == "tiny"
    assert output(back, items).tobytes() == output(model, items).tobytes()


def test_names_and_errors() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'probe'"):
        strategies.make("prob", kind="classification", modality="text")
    with pytest.raises(OptionError, match="does not do regression of text"):
        strategies.make("prototypes", kind="regression", modality="text")
    with pytest.raises(OptionError, match="scratch"):
        strategies.make("probe", kind="classification", modality="table")
    with pytest.raises(OptionError, match="does not do classification of image"):
        strategies.make("weighted-layers", kind="classification", modality="image")
    with pytest.raises(AttributeError, match="NoSuchProbe"):
        _ = strategies.NoSuchProbe
    assert "LinearProbe" in dir(strategies)


def test_specs_are_complete() -> None:
    frozen = ["majority", "scratch", "probe", "knn", "prototypes"]
    tuned = ["finetune", "partial", "gradual", "lp-ft", "lora", "bitfit", "contrastive"]
    usual = [name for name, spec in STRATEGIES.items() if not spec.on_request]
    assert usual == [*frozen, *tuned, "blend"]
    assert [name for name, spec in STRATEGIES.items() if spec.combines] == ["blend"]
    assert [name for name in usual if STRATEGIES[name].tunes] == tuned
    for name, spec in STRATEGIES.items():
        assert isinstance(spec, StrategySpec)
        assert spec.name == name
        assert spec.summary
        for path in spec.classes.values():
            assert strategies.base.resolve(path).__name__ in strategies.__all__


def test_the_dict_needs_no_heavy_import() -> None:
    code = (
        "import sys; from headstart.strategies import STRATEGIES; assert STRATEGIES;"
        "heavy = {'sklearn', 'torch', 'scipy', 'pandas'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
