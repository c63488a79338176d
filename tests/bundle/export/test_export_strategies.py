"""Every strategy on texts, pictures and tables: exported, and equal to the model."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_models import CASES, case_name, items_of

from headstart.bundle.exporting.heads import HEADS, MODALITIES
from headstart.bundle.exporting.write import expected
from headstart.bundle.inputs import prepared
from headstart.bundle.runner import open_export
from headstart.strategies import STRATEGIES

_AGREES = 1e-3
_NUMBERS = {"majority", "scratch", "probe", "knn", "adapted", "adapted-table", "blend", "lora"}
_ONE_EACH = [
    case
    for case in CASES
    if case[1] == "classification"
    or (case[0] in _NUMBERS and (case[2] != "image" or case[0] == "scratch"))
]
"""Every strategy on every modality; numbers once for each form of model."""


def as_asked(items, modality):
    return items.to_dict("records") if modality == "table" else items


@pytest.mark.parametrize("case", _ONE_EACH, ids=case_name)
def test_an_export_predicts_what_its_model_predicts(case, exported):
    model, where = exported(case)
    opened = open_export(where)
    items = items_of(case[2], 9, 5)
    want = expected(model, prepared(items, case[2], model.manifest.columns))
    labels, shares, confidence, silent = opened.answer(as_asked(items, case[2]))
    assert (opened.modality, opened.kind) == (case[2], case[1])
    if case[1] == "regression":
        assert np.abs(labels - want).max() <= _AGREES * (1 + np.abs(want).max())
        assert np.isnan(confidence).all()
    else:
        assert opened.classes == model.classes
        assert np.abs(shares - want).max() <= _AGREES
        assert labels.tolist() == [model.classes[place] for place in want.argmax(axis=1)]
        assert np.allclose(confidence, want.max(axis=1), atol=_AGREES) is True
    assert not silent.any()


def test_every_strategy_is_exported_for_texts_pictures_and_tables():
    assert set(HEADS) == set(STRATEGIES)
    assert MODALITIES == ("text", "image", "table")


@pytest.mark.parametrize("modality", MODALITIES)
def test_no_items_give_no_predictions(modality, exported):
    name = {"text": "probe", "image": "probe", "table": "scratch"}[modality]
    opened = open_export(exported((name, "classification", modality))[1])
    assert opened.predict([]).tolist() == []
    assert opened.predict_proba([]).shape == (0, 3)


@pytest.mark.parametrize("modality", ["text", "image"])
def test_order_and_number_of_items_do_not_matter(modality, exported):
    opened = open_export(exported(("probe", "classification", modality))[1])
    items = items_of(modality, 7, 3)
    together = opened.predict_proba(items)
    alone = np.concatenate([opened.predict_proba([item]) for item in reversed(items)])[::-1]
    assert np.abs(together - alone).max() < 1e-6
