"""What is printed of a learning curve and of labels."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from headstart.cli.console import show
from headstart.cli.learning_table import curve_blocks, label_blocks
from headstart.evaluate.curve import assembled
from headstart.select.label_next import ClassNeed, Suggestion, Suspect


def result(**given):
    plain = {"curve": None, "label_these": (), "neediest": (), "suspects": ()}
    return SimpleNamespace(**{**plain, "curve_sentences": lambda: ("It is so.",), **given})


def test_a_curve_is_a_row_for_each_point_and_its_sentences(capsys):
    n = np.array([1.0, 2, 10.667])
    means = np.array([[0.5, 0.2], [0.7, 0.4], [0.9, 0.95]])
    curve = assembled("accuracy", n, list(means[:, None]), means[None].repeat(3, axis=0))
    show(*curve_blocks(result(curve=curve)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "Learning curve, accuracy on the same judging items"
    assert lines[2].split() == ["labels", "a", "class", "repeats", "transfer", "scratch", "gain"]
    assert lines[3].split()[:3] == ["1", "1", "0.500"]
    assert lines[5].split()[0] == "10.67"
    assert lines[5].endswith("-0.050 [-0.050, -0.050]")
    assert lines[6] == "It is so."


def test_without_anything_nothing_is_printed():
    assert list(curve_blocks(result())) == []
    assert list(label_blocks(result())) == []


def test_the_first_few_items_to_label_and_to_look_at(capsys):
    these = tuple(Suggestion(i, f"row {i}", "cat (0.51) or dog (0.49)") for i in range(9))
    wrong = tuple(Suspect(f"row {i}", "cat", "dog", 0.97) for i in range(7))
    need = (ClassNeed("cat", 0.5, 0.24, 0.76, 12, "dog"), ClassNeed("dog", 0.8, 0.5, 0.9, 9))
    show(*label_blocks(result(label_these=these, suspects=wrong, neediest=need)))
    said = capsys.readouterr().out
    assert said.count("cat (0.51) or dog (0.49)") == 5
    assert "labelled cat, looks like dog (0.97)" in said
    assert "(2 more in --json)" in said
    assert "would help most" not in said
    show(*label_blocks(result(neediest=need)))
    said = capsys.readouterr().out
    assert "  cat: 50% [24%, 76%] of 12, most taken for dog" in said
    assert "  dog: 80% [50%, 90%] of 9\n" in said
