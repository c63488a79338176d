"""What judges is never learnt from."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.core.errors import DataError
from headstart.sequences.base import Examples, without_judged


def of(*inputs):
    n = len(inputs)
    return Examples(inputs, ("x",) * n, tuple(f"row {i}" for i in range(n)), np.arange(n))


def test_what_judges_is_left_out_and_said():
    train, said = without_judged(of("a", "b", "c"), of("b", "d"), noun="texts")
    assert train.inputs == ("a", "c")
    assert train.ids == ("row 0", "row 2")
    assert [one.what for one in said] == ["1 texts are not learnt from"]
    whole = of("a", "b")
    assert without_judged(whole, of("c"), noun="texts") == (whole, ())


def test_a_key_says_what_must_not_stand_in_both():
    train, said = without_judged(
        of(("q1", "c1"), ("q2", "c2")),
        of(("q3", "c2")),
        noun="questions",
        because="their contexts",
        key=lambda one: one[1],
    )
    assert train.inputs == (("q1", "c1"),)
    assert said[0].why.startswith("their contexts are in the test part")


def test_nothing_left_to_learn_from_is_refused():
    with pytest.raises(DataError, match="all texts are in the test part"):
        without_judged(of("a"), of("a", "b"), noun="texts")
