"""The front door of ``headstart adapt``: a fitted model for another domain, its source data gone.

Open the model -> read the target's items -> let each way change a copy -> judge on labels, if there
are any -> result. No algorithm lives here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart import bundle as bundle_room
from headstart import data as data_room
from headstart import encode, select
from headstart.adapt_result import AS_IT_WAS, AdaptResult, Way
from headstart.bundle import Bundle
from headstart.bundle.enrol import PROMISES, contents_of
from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.core.types import (
    SILENT,
    AnyArray,
    Decision,
    FloatArray,
    Reporter,
    State,
    Task,
)
from headstart.data.matching import match_columns
from headstart.evaluate.shift_domain import equal_rows
from headstart.log import Log
from headstart.strategies import STRATEGIES, source_free
from headstart.strategies.adaptation.forms import LinearForm
from headstart.strategies.adaptation.tables import FORM, AdaptedTable
from headstart.strategies.heads import LinearHead, TunedHead
from headstart.strategies.source_free import SOURCE_FREE
from headstart.strategies.source_free.base import STAYS
from headstart.strategies.tuned import PREFIX, tuned_backbone

PRIOR = "prior-em"
MANY = 0.3  # share of labels that change above which that is said aloud


def adapt(
    model: Bundle | str | Path,
    unlabelled: Any,
    *,
    target_labels: Any = None,
    label: str | None = None,
    text: str | None = None,
    path: str | None = None,
    strategy: str | Sequence[str] | None = None,
    seed: int = 0,
    allow_unreadable: float = 0.05,
    reporter: Reporter = SILENT,
) -> AdaptResult:
    """Change a fitted model for items of another domain, without the data that it learnt from.

    Without labels of the target nothing tells which way helps, so the model stays as it is unless
    a way is named; what each would change is reported. With labels, those judge.

    Parameters
    ----------
    model : Bundle or path
        A classifier with a linear head (``probe``, or tuned), on the features of a source.
    unlabelled : same forms as for ``fit``
        Items of the target; some or all may have labels.
    target_labels : path, DataFrame or dict, optional
        Labels of some items, by row, path or text; thirty are enough to judge.
    label, text, path : str, optional
        Columns of the target.
    strategy : str or sequence of str, optional
        Names in ``headstart.strategies.source_free.SOURCE_FREE``. A single one is what you get,
        whatever labels say, unless it collapses.
    seed : int
    allow_unreadable : float
        Share of unreadable items, 0 to 1, above which reading fails.
    reporter : Reporter

    Returns
    -------
    AdaptResult

    Raises
    ------
    OptionError
        The model has no linear head, or predicts values.
    DataError, BundleError
        Each names what is wrong, where, and what to do next.

    Examples
    --------
    >>> import headstart as hs
    >>> result = hs.adapt("model", "new-scanner/", strategy="t3a")     # doctest: +SKIP
    >>> result.save("model-new-scanner")                               # doctest: +SKIP
    """
    started, seed = time.perf_counter(), int(seed)
    log = Log(reporter)
    named = (strategy,) if isinstance(strategy, str) else tuple(dict.fromkeys(strategy or ()))

    for name in named:
        if name not in SOURCE_FREE:
            raise UnknownNameError("strategy", name, SOURCE_FREE)

    # Open the model, and read the items of the target.
    before = model
    if not isinstance(before, Bundle):
        before = bundle_room.load_predictor(before, reporter=reporter)
    head, prefix = _linear(before)
    target = data_room.read_target(
        unlabelled,
        _as_source(before),
        label=label,
        text=text,
        path=path,
        labels=target_labels,
        allow_unreadable=allow_unreadable,
        reporter=reporter,
    )
    log.add(*target.decisions)

    # Let each way change a copy of the model.
    X = _rows(before, target.task.items)
    ways = named or _usual(before, log)
    changed = {AS_IT_WAS: _Change(AS_IT_WAS, head.coef_, head.intercept_, head.classes_, {}, None)}
    for name in ways:
        changed[name] = _changed(name, before, head, X, target.task, seed)

    # Judge on the labels there are; without any, the model stays unless one way is named.
    guessed = {name: one.labels(X) for name, one in changed.items()}
    said = select.choose_change(
        guessed,
        target.labels,
        stays=AS_IT_WAS,
        once=_once(X),
        named=named[0] if len(named) == 1 else None,
        refused={name: one.why for name, one in changed.items() if one.why},
        seed=seed,
    )
    shipped = changed[said.name]
    log.add(*shipped.decisions, *said.decisions)
    moved = float((guessed[said.name] != guessed[AS_IT_WAS]).mean())
    if said.gain is None and moved > MANY:
        why = f"{100 * moved:.0f} % of the items get another label, and no label says it is right"
        log.add(Decision("look at some of them before you use the model", why))
    contents = replace(
        contents_of(before),
        **shipped.replaced(before, prefix),
        decisions=(*_past(before), *log.decisions),
        extra=_extra(before, said.name, said.judged_by, target.task.n, seed),
    )
    if said.score is not None and said.name != AS_IT_WAS:
        stayed = {AS_IT_WAS: said.scores[AS_IT_WAS]}
        contents = replace(
            contents, metric=said.score.metric, score=said.score, gain=said.gain, baselines=stayed
        )
    return AdaptResult(
        before=before,
        target=target.task,
        chosen=said.name,
        judged_by=said.judged_by,
        score=said.score,
        gain=said.gain,
        gain_of=said.gain_of,
        corrected=said.corrected,
        ways=tuple(
            Way(
                name,
                float((guessed[name] != guessed[AS_IT_WAS]).mean()),
                _shares(guessed[name], before.classes),
                said.scores.get(name),
                one.why,
            )
            for name, one in changed.items()
        ),
        decisions=tuple(log.decisions),
        seconds=time.perf_counter() - started,
        seed=seed,
        contents=contents,
        skipped=target.task.skipped,
    )


@dataclass(frozen=True, eq=False)
class _Change:
    """A changed copy of the model: its linear head, and what was changed below it."""

    name: str
    coef: FloatArray
    intercept: FloatArray
    classes: AnyArray
    tuned: dict[str, AnyArray]
    features: FloatArray | None  # of the target by the changed source; None: the same source
    decisions: tuple[Decision, ...] = ()
    why: str = ""  # why the model stayed as it was

    def labels(self, X: FloatArray) -> AnyArray:
        """Return the labels of the target's items."""
        rows = X if self.features is None else self.features
        found: AnyArray = self.classes[(rows @ self.coef + self.intercept).argmax(axis=1)]
        return found

    def replaced(self, before: Bundle, prefix: str) -> dict[str, Any]:
        """Return what of a bundle's contents is another one."""
        if self.name == AS_IT_WAS:
            return {}
        state = before.state
        arrays = dict(state.arrays)
        arrays |= {f"{prefix}coef": self.coef, f"{prefix}intercept": self.intercept}
        found: dict[str, Any] = {"answers": None, "gallery": None, "score": None, "gain": None}
        found |= {"baselines": {}, "candidates": ()}
        if not self.tuned:
            return found | {"state": State(arrays, dict(state.meta))}
        meta = dict(state.meta) | {"given": dict(state.meta.get("given", {})), "target": "classes"}
        kept = {key: one for key, one in arrays.items() if not key.startswith(PREFIX)}
        strategy = before.manifest.strategy
        if not STRATEGIES[strategy].tunes:
            strategy = "finetune"  # a head and what was tuned below it
        return found | {"state": State(kept | self.tuned, meta), "strategy": strategy}


def _linear(before: Bundle) -> tuple[LinearHead, str]:
    """Return the linear head of a model, and how its arrays are called in the model's state.

    Raises
    ------
    OptionError
        It has none.
    """
    if not before.classes:
        raise OptionError("a model that predicts values cannot be adapted without its source data")
    head = before.estimator
    if type(head) in (LinearHead, TunedHead) and not getattr(head, "sets", False):
        return head, ""
    adapted = head.head_ if isinstance(head, AdaptedTable) else head
    form = getattr(adapted, "form_", None)
    if isinstance(form, LinearForm):
        linear = LinearHead(form.coef, form.intercept, adapted.classes_)
        return linear, FORM if isinstance(head, AdaptedTable) else ""
    raise OptionError(
        "only a linear head can be adapted without the source's data",
        where=str(before.path or "MODEL"),
        got=before.manifest.strategy,
        hint="fit with --strategy probe; or, with the source's data at hand, `headstart transfer`",
    )


def _rows(before: Bundle, items: Any) -> FloatArray:
    """Return what the linear head takes: features of the source, or the numbers of a table."""
    if isinstance(before.estimator, AdaptedTable):
        own = _no_rows(before)
        matching = match_columns(own, items)
        lacking = [name for name in matching.only_source if name in own.columns]
        if lacking:
            raise DataError(
                "columns are missing that the model was fitted on",
                where="UNLABELLED",
                got=", ".join(map(str, items.columns[:20])),
                hint="missing: " + ", ".join(lacking),
            )
        back = {there: here for here, there in matching.renamed.items()}
        frame = items.rename(columns=back)[list(own.columns)]
        return np.asarray(before.estimator.numbers_(frame), dtype=np.float64)
    return np.asarray(before.features(items), dtype=np.float64)


def _as_source(before: Bundle) -> Task:
    """Return what reading the target must know of the data that the model learnt from."""
    none = np.zeros(0, dtype=np.int64)
    return Task(
        before.modality,
        "classification",
        _no_rows(before),
        None,
        (),
        none,
        before.classes,
        label_name=before.manifest.label_name,
    )


def _no_rows(before: Bundle) -> Any:
    """Return items as the model takes them, none of them: reading the target keeps its columns."""
    if before.modality != "table":
        return []
    import pandas as pd

    columns = before.manifest.columns
    frame = pd.DataFrame(columns=[column.name for column in columns])
    frame.attrs["column_types"] = {column.name: column.type for column in columns}
    return frame


def _usual(before: Bundle, log: Log) -> tuple[str, ...]:
    """Return the ways that are tried by themselves: they change the head."""
    ways = [name for name, spec in SOURCE_FREE.items() if spec.needs == "head"]
    if _frequencies(before) is None:
        ways.remove(PRIOR)
        why = "the model does not say how frequent its classes were"
        log.add(Decision(f"{PRIOR} left out", why, "fit again with this version of headstart"))
    return tuple(ways)


def _frequencies(before: Bundle) -> list[float] | None:
    """Return how frequent the classes were where the model learnt; None where it does not say."""
    counts = before.manifest.result.get("extra", {}).get("class_counts")
    if not isinstance(counts, dict) or set(counts) != set(before.classes):
        return None
    found = np.array([float(counts[name]) for name in before.classes])
    return None if not (found > 0).all() else (found / found.sum()).tolist()


def _made(name: str, before: Bundle, seed: int) -> Any:
    """Return a way to change the model, unfitted.

    Raises
    ------
    OptionError
        The model has not what it needs.
    """
    if SOURCE_FREE[name].needs == "backbone" and before.manifest.source is None:
        raise OptionError(
            f"{name} changes the batch norm of a source, and this model has none",
            where="--strategy",
            allowed=[one for one, spec in SOURCE_FREE.items() if spec.needs == "head"],
        )
    if name != PRIOR:
        return source_free.make(name, random_state=seed)
    prior = _frequencies(before)
    if prior is None:
        raise OptionError(
            f"{name} must know how frequent the classes were where the model learnt",
            where="--strategy",
            hint="fit the model again with this version of headstart",
        )
    return source_free.make(name, prior=prior)


def _changed(
    name: str, before: Bundle, head: LinearHead, X: FloatArray, target: Task, seed: int
) -> _Change:
    """Let one way change a copy of the model."""
    way = _made(name, before, seed)
    if SOURCE_FREE[name].needs == "head":
        return _of(name, way.fit(head, X), way, {}, None)
    base = contents_of(before).backbone
    assert base is not None
    made = way.fit(head, list(target.items), base)
    changed = tuned_backbone(base, made.tuned, made.given)
    features = encode.features(target.items, changed, cache=False).array
    own = {PREFIX + key: array for key, array in made.tuned.items()}
    return _of(name, made, way, own, np.asarray(features, dtype=np.float64))


def _of(
    name: str,
    made: LinearHead,
    way: Any,
    tuned: dict[str, AnyArray],
    features: FloatArray | None,
) -> _Change:
    stayed = [one.why for one in way.decisions_ if one.what == STAYS]
    return _Change(
        name,
        made.coef_,
        made.intercept_,
        made.classes_,
        tuned,
        features,
        tuple(replace(one, what=f"{name}: {one.what}") for one in way.decisions_),
        stayed[0] if stayed else "",
    )


def _once(X: FloatArray) -> AnyArray:
    """Say which rows are no copy of an earlier one."""
    first = np.zeros(len(X), dtype=bool)
    first[np.unique(equal_rows(X), return_index=True)[1]] = True
    return first


def _shares(labels: AnyArray, classes: Sequence[str]) -> dict[str, float]:
    return {name: float((labels == name).mean()) for name in classes}


def _past(before: Bundle) -> tuple[Decision, ...]:
    return tuple(Decision(**one) for one in before.manifest.result.get("decisions", ()))


def _extra(before: Bundle, name: str, judged_by: str, n: int, seed: int) -> dict[str, Any]:
    """Return what else the new model says of itself."""
    was = before.manifest.result.get("extra", {})
    if name == AS_IT_WAS:
        return dict(was)
    kept = {key: value for key, value in was.items() if key not in PROMISES}
    told = {"adapted_by": name, "judged_by": judged_by, "n_target": n, "seed": seed}
    return kept | told
