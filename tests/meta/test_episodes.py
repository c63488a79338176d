"""Episodes, and which classes train, choose and judge."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.core.errors import DataError, OptionError
from headstart.meta.collection import Collection, read_collection
from headstart.meta.episodes import ClassItems, Pool, pool_of
from headstart.meta.parts import split_parts
from headstart.meta.plan import Plan, chosen_methods


def classes(sizes, groups=None):
    starts = np.concatenate([[0], np.cumsum(sizes)])
    groups = np.arange(starts[-1]) if groups is None else np.asarray(groups)
    return tuple(
        ClassItems(f"c{i}", np.arange(a, b), groups[a:b])
        for i, (a, b) in enumerate(pairwise(starts))
    )


def collection(sizes, families=None, groups=None, modality="image"):
    made = classes(sizes, groups)
    families = families or [range(len(made))]
    return Collection(
        modality=modality,
        items=[None] * sum(sizes),
        classes=made,
        families=tuple(np.array(family) for family in families),
        names=tuple(f"task{i}" for i in range(len(families))),
        origin="here",
    )


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    sizes=st.lists(st.integers(3, 9), min_size=4, max_size=9),
    ways=st.integers(2, 4),
    shots=st.integers(1, 2),
    seed=st.integers(0, 99),
)
def test_an_episode_asks_for_other_items_of_the_classes_it_shows(sizes, ways, shots, seed):
    pool = Pool(classes(sizes), (np.arange(len(sizes)),))
    queries = pool.queries(shots, 5)
    assert queries == min(5, min(sizes) - shots)
    rng = np.random.default_rng(seed)
    drawn = pool.draw(6, ways=ways, shots=shots, queries=queries, rng=rng)
    of = np.repeat(np.arange(len(sizes)), sizes)
    for support, query in zip(drawn.support, drawn.query, strict=True):
        both = np.concatenate([support, query], axis=1)
        assert len(np.unique(both)) == both.size
        assert (of[both] == of[both][:, :1]).all()
        assert len(np.unique(of[both][:, 0])) == ways


def test_copies_never_show_and_ask_at_once():
    pool = Pool(classes([6, 6], groups=[0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8]), (np.arange(2),))
    assert pool.queries(1, 15) == 2
    drawn = pool.draw(50, ways=2, shots=1, queries=2, rng=np.random.default_rng(0))
    group = np.array([0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8])
    both = group[np.concatenate([drawn.support, drawn.query], axis=2)]
    assert all(len(np.unique(way)) == 3 for episode in both for way in episode)


def test_every_class_and_item_is_drawn_about_as_often():
    pool = Pool(classes([5] * 6), (np.arange(6),))
    drawn = pool.draw(3000, ways=2, shots=1, queries=1, rng=np.random.default_rng(0))
    counts = np.bincount(drawn.support.ravel(), minlength=30)
    assert abs(counts - 200).max() < 5 * np.sqrt(200)


def test_a_tenth_of_small_classes_gives_way_but_no_more_than_needed():
    sizes = [10] * 18 + [2, 2]
    pool, gone = pool_of(
        classes(sizes), [np.arange(20)], ways=5, shots=1, queries=15, part="training"
    )
    assert gone == ("c18", "c19")
    assert pool.queries(1, 15) == 9
    pool, gone = pool_of(classes([10, 10, 2]), [np.arange(3)], ways=3, shots=1, queries=15, part="")
    assert gone == ()
    assert pool.queries(1, 15) == 1


def test_too_few_large_classes_are_told():
    with pytest.raises(DataError, match=r"too few classes for episodes of 3.*too small: c1, c2"):
        pool_of(classes([9, 1, 1]), [np.arange(3)], ways=3, shots=1, queries=5, part="test")


def test_no_class_does_two_of_training_choosing_and_judging():
    parts = split_parts(collection([6] * 50), Plan(ways=5))
    named = [
        {one.name for one in pool.classes}
        for pool in (parts.train, parts.validation, parts.tests[1])
    ]
    assert [len(one) for one in named] == [32, 8, 10]
    assert len(set.union(*named)) == 50
    assert {one.name for one in parts.tests[5].classes} == named[2]


def test_another_seed_splits_otherwise_and_the_same_alike():
    plans = (Plan(seed=0), Plan(seed=0), Plan(seed=1))
    first, again, other = (
        [one.name for one in split_parts(collection([6] * 50), plan).train.classes]
        for plan in plans
    )
    assert first == again != other


def test_copies_of_training_items_do_not_judge():
    groups = np.arange(90)
    groups[3::6] = 3  # the fourth item of every class is the same
    parts = split_parts(collection([6] * 15, groups=groups), Plan(ways=5))
    assert all(one.size == 5 for one in parts.validation.classes)
    assert any("copies" in str(one) for one in parts.decisions)


def test_copies_of_items_that_choose_do_not_judge():
    plan = Plan(ways=5)
    where = split_parts(collection([6] * 15), plan)
    groups = np.arange(90)
    groups[where.tests[1].places[::6]] = groups[where.validation.places[::6]]
    parts = split_parts(collection([6] * 15, groups=groups), plan)
    assert all(one.size == 6 for one in parts.validation.classes)
    assert all(one.size == 5 for one in parts.tests[1].classes)


def test_copies_in_other_tasks_do_not_judge():
    tasks = {
        f"t{task}": (
            [f"{verb} {name} in lesson {task}" for name in "uvwxyz" for verb in ("do", "see", "be")]
            + [f"the very same {name}" for name in "uvwxyz"],
            [name for name in "uvwxyz" for _ in range(3)] + list("uvwxyz"),
        )
        for task in range(4)
    }
    read = read_collection(tasks)
    parts = split_parts(read, Plan(ways=3, shots=1))
    pools = (parts.train, parts.validation, parts.tests[1])
    texts = [{read.items[int(place)] for place in pool.places} for pool in pools]
    assert all(f"the very same {name}" in texts[0] for name in "uvwxyz")
    assert not texts[0] & texts[1]
    assert not (texts[0] | texts[1]) & texts[2]
    assert all(one.size == 3 for one in (*parts.validation.classes, *parts.tests[1].classes))


def test_groups_that_share_an_item_are_one_across_tasks():
    first = (["a b", "c d", "e f", "g h"], list("xyxy"))
    second = (["a b", "new words", "e f", "c d"], list("xyxy"))
    read = read_collection({"one": first, "two": second})
    groups = dict(
        zip(
            np.concatenate([c.places for c in read.classes]).tolist(),
            np.concatenate([c.groups for c in read.classes]).tolist(),
            strict=True,
        )
    )
    assert groups[0] == groups[4]
    assert groups[2] == groups[6]
    assert groups[1] == groups[7]
    assert len(set(groups.values())) == 5


def test_whole_tasks_are_held_out():
    families = [range(at, at + 4) for at in range(0, 40, 4)]
    parts = split_parts(collection([6] * 40, families), Plan(ways=3))
    assert parts.tasks == {"train": 6, "validation": 2, "test": 2}
    assert parts.counts == {"train": 24, "validation": 8, "test": 8}
    rng = np.random.default_rng(0)
    drawn = parts.train.draw(50, ways=3, shots=1, queries=1, rng=rng)
    of = np.repeat(np.arange(10), 24)
    assert all(len(np.unique(of[episode])) == 1 for episode in drawn.support)


def test_turned_classes_are_classes_of_their_own():
    plain = split_parts(collection([6] * 15), Plan())
    turned = split_parts(collection([6] * 15), Plan(), rotate=True)
    assert len(turned.train.classes) == 4 * len(plain.train.classes)
    assert set(turned.train.places) == {
        place + 90 * k for place in plain.train.places for k in range(4)
    }
    assert (turned.validation.places == plain.validation.places).all()


def test_what_is_too_little_is_refused():
    with pytest.raises(DataError, match=r"need 15 classes.*--ways 4"):
        split_parts(collection([6] * 14), Plan(ways=5))
    with pytest.raises(DataError, match="at least 6 classes"):
        split_parts(collection([6] * 5), Plan(ways=2))
    with pytest.raises(DataError, match=r"task 'task1'.*got '1 class'.*take it out"):
        split_parts(collection([6] * 7, [range(3), [3], range(4, 7)]), Plan(ways=3))
    with pytest.raises(DataError, match="at least 3 tasks"):
        split_parts(collection([6] * 6, [range(3), range(3, 6)]), Plan(ways=3))
    with pytest.raises(OptionError, match="only images can be turned"):
        split_parts(collection([6] * 15, modality="text"), Plan(), rotate=True)


def test_five_shots_are_left_out_where_classes_are_small():
    parts = split_parts(collection([4] * 15), Plan())
    assert list(parts.tests) == [1]
    assert any("5-shot episodes are not reported" in str(one) for one in parts.decisions)


def test_knobs_out_of_range_and_unknown_methods():
    for wrong in ({"ways": 1}, {"shots": 0}, {"steps": 0}, {"seed": -1}, {"ways": 2.5}):
        with pytest.raises(OptionError, match="out of range"):
            Plan(**wrong)
    with pytest.raises(OptionError, match="did you mean 'protonet'"):
        chosen_methods(["protonets"])
    assert chosen_methods(None) == ("protonet", "rfs")
    assert chosen_methods(["rfs", "maml", "rfs"]) == ("rfs", "maml")
