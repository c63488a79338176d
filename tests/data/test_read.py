"""`read`: what is inferred and why, and that nothing is silently dropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.core.errors import (
    AmbiguousDataError,
    DataError,
    OptionError,
    UnknownNameError,
)
from headstart.core.types import Task
from headstart.data import column_types, read
from headstart.data.grouping import components

TEXTS = [
    "the first film is a joy to watch",
    "never again will I sit through this",
    "a warm and clever story about friends",
    "two hours of my life that I want back",
    "wonderful actors in a lovely place",
    "the plot makes no sense whatsoever",
]
LABELS = ["pos", "neg"] * 3


def said(task: Task) -> str:
    return "\n".join(map(str, task.decisions))


def reviews(**more: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"text": TEXTS, "label": LABELS, **more})


def flowers(n: int = 30, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "width": rng.normal(size=n).round(4),
            "petals": rng.integers(3, 9, size=n),
            "colour": rng.choice(["red", "blue"], size=n),
            "kind": rng.choice(["rose", "iris"], size=n),
            "species": np.where(np.arange(n) % 2, "a", "b"),
        }
    )


# ---------------------------------------------------------------------------- what is inferred


def test_text_and_label_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    reviews().to_csv(path, index=False)
    task = read(path)
    assert (task.modality, task.kind, task.n) == ("text", "classification", 6)
    assert task.items == TEXTS
    assert task.labels is not None
    assert task.labels.tolist() == LABELS
    assert all(type(label) is str for label in task.labels)
    assert task.classes == ("neg", "pos")
    assert task.ids[0] == "row 1"
    assert task.label_name == "label"
    assert task.groups.dtype == np.int64
    assert "label is column 'label': its name says so" in said(task)


def test_label_by_its_few_values() -> None:
    task = read(pd.DataFrame({"snippet": TEXTS, "verdict": LABELS}))
    assert task.label_name == "verdict"
    assert "no other column" in said(task)


def test_short_texts_beside_a_label() -> None:
    words = ["haus", "maison", "garten", "jardin", "baum", "arbre"]
    task = read(pd.DataFrame({"word": words, "language": ["de", "fr"] * 3}))
    assert (task.modality, task.label_name, task.items) == ("text", "language", words)


def test_texts_without_spaces() -> None:
    texts = [f"这部电影非常好看我很喜欢它的故事情节第{i}集" for i in "一二三四五六"]
    assert read(pd.DataFrame({"评论": texts, "label": LABELS})).modality == "text"


def test_table_by_features() -> None:
    task = read(flowers(), duplicates=False)
    assert (task.modality, task.label_name) == ("table", "species")
    assert list(task.items.columns) == ["width", "petals", "colour", "kind"]
    assert column_types(task.items) == {
        "width": "number", "petals": "number", "colour": "category", "kind": "category",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("frame", "choices"),
    [
        (reviews(category=["a", "b"] * 3), ["--label label", "--label category"]),
        (
            pd.DataFrame({"a": TEXTS, "b": TEXTS[::-1], "label": LABELS}),
            ["--text a", "--text b"],
        ),
        (
            pd.DataFrame({"f": [f"{i}.png" for i in range(6)], "t": TEXTS, "label": LABELS}),
            ["--path f", "--text t"],
        ),
        (
            pd.DataFrame(
                {"x": [f"{i}.png" for i in range(6)], "z": ["a.jpg"] * 6, "label": LABELS}
            ),
            ["--path x", "--path z"],
        ),
        (flowers().drop(columns="species"), ["--label colour", "--label kind"]),
        (
            pd.DataFrame(
                {"name": TEXTS, "age": range(6), "fare": [0.5, 2, 3, 1, 7, 8], "label": LABELS}
            ),
            ["--text name", "--modality table"],
        ),
    ],
)
def test_ambiguity_lists_the_choices(frame: pd.DataFrame, choices: list[str]) -> None:
    with pytest.raises(AmbiguousDataError) as caught:
        read(frame)
    assert isinstance(caught.value.allowed, list)
    assert set(choices) <= set(caught.value.allowed)


def test_options_settle_it() -> None:
    frame = reviews(category=["a", "b", "b"] * 2, title=TEXTS[::-1])
    task = read(frame, label="category", text="title")
    assert task.items == TEXTS[::-1]
    assert task.classes == ("a", "b")
    assert "columns not used: 'text', 'label'" in said(read(frame, label="category", text="title"))
    named = pd.DataFrame({"name": TEXTS, "age": range(6), "p": [1, 1, 2, 2, 3, 3], "label": LABELS})
    assert read(named, modality="table", keep=["age"]).modality == "table"
    assert read(named, modality="text").items == TEXTS


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"label": "lable"}, UnknownNameError, "did you mean 'label'"),
        ({"text": "label", "label": "label"}, OptionError, "cannot be both"),
        ({"text": "text", "path": "label"}, OptionError, "not both"),
        ({"text": "text", "modality": "image"}, OptionError, "modality does not fit"),
        ({"text": "text", "modality": "table"}, OptionError, "modality does not fit"),
        ({"modality": "video"}, OptionError, "unknown modality"),
        ({"modality": "audio"}, DataError, "recordings cannot be read"),
        ({"kind": "ranking"}, OptionError, "unknown kind"),
        ({"allow_unreadable": 2}, OptionError, "share of the items"),
        ({"label": ["x"]}, DataError, "not as many"),
        ({"label": np.zeros((6, 2))}, DataError, "one value an item"),
    ],
)
def test_wrong_options(options: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read(reviews(), **options)  # type: ignore[arg-type]


def test_no_label_column_and_no_text_column() -> None:
    with pytest.raises(DataError, match="no label column"):
        read(pd.DataFrame({"text": TEXTS}))
    with pytest.raises(DataError, match="no column holds free text"):
        read(pd.DataFrame({"age": range(6), "label": LABELS}), modality="text")
    with pytest.raises(DataError, match="no feature column is left"):
        read(pd.DataFrame({"label": LABELS}), modality="table")


# ------------------------------------------------------------------------- kinds and labels


@pytest.mark.parametrize(
    ("values", "kind", "classes"),
    [
        ([0, 1] * 30, "classification", ("0", "1")),
        ([0.0, 1.0] * 30, "classification", ("0", "1")),
        ([True, False] * 30, "classification", ("False", "True")),
        ([0.5, 1.5] * 30, "classification", ("0.5", "1.5")),
        (["01", "02"] * 30, "classification", ("01", "02")),
        ([i % 30 for i in range(300)], "classification", None),
        ([i % 30 + 17 for i in range(300)], "regression", ()),
        ([i * 0.25 for i in range(60)], "regression", ()),
        ([str(i * 0.25) for i in range(60)], "regression", ()),
        ([i * i for i in range(60)], "regression", ()),
    ],
)
def test_kind(values: list[object], kind: str, classes: tuple[str, ...] | None) -> None:
    frame = pd.DataFrame({"x": np.arange(len(values)) ** 1.5, "y": values})
    task = read(frame)
    assert task.kind == kind
    assert classes is None or task.classes == classes
    assert task.labels is not None
    assert task.labels.dtype == (np.float64 if kind == "regression" else object)


def test_kind_can_be_forced_and_wrong_numbers_are_named() -> None:
    frame = pd.DataFrame({"x": np.arange(40) ** 1.5, "y": [i % 4 for i in range(40)]})
    assert read(frame, kind="regression").kind == "regression"
    frame["y"] = [str(i * 0.5) for i in range(39)] + ["many"]
    with pytest.raises(DataError, match=r"1 labels among numbers.*'many'"):
        read(frame)
    with pytest.raises(DataError, match=r"row 40.*'many'"):
        read(frame, kind="regression")


def test_labels_are_stripped_and_cases_told() -> None:
    task = read(TEXTS, label=["pos ", "neg", " pos", "neg", "Neg", "pos"])
    assert task.classes == ("Neg", "neg", "pos")
    assert "blanks around 2 labels" in said(task)
    assert "'Neg / neg'" in said(task)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"] * 6, r"only one class \('a', 6 items\)"),
        (list("abcdef"), "each of the 6 classes has one item only"),
        ([None] * 6, "no item is left.*6 x no label"),
    ],
)
def test_nothing_to_learn(labels: list[object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(TEXTS, label=labels)


def test_regression_without_enough() -> None:
    frame = pd.DataFrame({"x": [1.0, 2, 4], "y": [0.1, 0.2, 0.4]})
    with pytest.raises(DataError, match="at least 4"):
        read(frame, kind="regression")
    with pytest.raises(DataError, match="all labels are equal"):
        read(pd.DataFrame({"x": [1.0, 2, 4, 5], "y": [0.1] * 4}), kind="regression")


def test_a_class_of_one_item_is_said() -> None:
    assert "1 classes have one item only: 'c'" in said(read(TEXTS, label=list("aabbbc")))


# ------------------------------------------------------------------ nothing silently dropped


def test_missing_labels_and_empty_texts_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    frame = reviews()
    frame.loc[1, "label"] = " "
    frame.loc[3, "text"] = ""
    frame.to_csv(path, index=False)
    task = read(path)
    assert [(s.item, s.reason) for s in task.skipped] == [
        ("row 4", "empty text"), ("row 2", "no label"),
    ]  # fmt: skip
    assert task.ids == ("row 1", "row 3", "row 5", "row 6")


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*TEXTS, "", "  ", None]),
            st.sampled_from(["a", "b", "a", "b", "", None, float("nan")]),
        ),
        min_size=8,
        max_size=30,
    )
)
def test_every_row_is_an_item_or_skipped(rows: list[tuple[object, object]]) -> None:
    frame = pd.DataFrame(
        {
            "text": pd.Series([*TEXTS[:4], *(a for a, _ in rows)], dtype=object),
            "label": pd.Series(["a", "b", "a", "b", *(b for _, b in rows)], dtype=object),
        }
    )
    task = read(frame)
    names = sorted([*task.ids, *(entry.item for entry in task.skipped)])
    assert names == sorted(f"row {i + 1}" for i in range(len(frame)))
    assert all(entry.reason for entry in task.skipped)


# ---------------------------------------------------------------------------- feature columns


def test_columns_are_read_by_what_they_hold() -> None:
    n = 24
    frame = pd.DataFrame(
        {
            "id": range(1000, 1000 + n),
            "code": [f"k{i}" for i in range(n)],
            "one": ["same"] * n,
            "empty": [""] * n,
            "day": ["2024-01-01", "2024-01-03T12:00:00"] * (n // 2),
            "ok": ["true", "False"] * (n // 2),
            "price": ["1,5", "22,75"] * (n // 2),
            "gap": ["3", "NA", "inf", "5"] * (n // 4),
            "town": ["Ulm", " Ulm", "Bonn", ""] * (n // 4),
            "label": list("ab") * (n // 2),
        }
    )
    task = read(frame, duplicates=False)
    items = task.items
    assert list(items.columns) == ["day", "ok", "price", "gap", "town"]
    assert items["day"][:2].tolist() == [19723.0, 19725.5]
    assert items["ok"][:2].tolist() == [1.0, 0.0]
    assert items["price"][:2].tolist() == [1.5, 22.75]
    assert items["gap"].isna().sum() == n // 2
    assert items["town"][:3].tolist() == ["Ulm", "Ulm", "Bonn"]
    for text in ("'id' is left out: it numbers", "'code'", "'one'", "'empty'", "days since 1970"):
        assert text in said(task)
    for text in ("true and false", "decimal points: 'price'", "infinite", "categories: 'town'"):
        assert text in said(task)
    assert "id" in read(frame, duplicates=False, keep=["id"]).items


def test_rows_that_coincide_by_nature_are_no_duplicates() -> None:
    task = read(
        pd.DataFrame({"a": [1, 2] * 20, "b": [3, 3, 4, 4] * 10, "label": list("xyyx") * 10})
    )
    assert task.groups.tolist() == list(range(40))
    assert "taken for coincidence" in said(task)


def test_whole_numbers_in_a_float_column_name_the_same_category() -> None:
    frame = pd.DataFrame({"c": ["1", "2", "x", "1"] * 3, "label": list("ab") * 6})
    test = pd.DataFrame({"c": [1.0, 2.0], "label": ["a", "b"]})
    task = read(frame, label="label", test=test, duplicates=False)
    assert task.test is not None
    assert task.test.items["c"].tolist() == ["1", "2"]


def test_thousands_are_not_decimals() -> None:
    frame = pd.DataFrame(
        {"x": ["1,200", "3,450", "900", "12,345,678"] * 3, "label": list("ab") * 6}
    )
    task = read(frame, duplicates=False)
    assert task.items["x"][:4].tolist() == [1200.0, 3450.0, 900.0, 12345678.0]
    assert "thousands" in said(task)


def test_no_usable_feature() -> None:
    with pytest.raises(DataError, match="no usable feature column"):
        read(pd.DataFrame({"x": [1.0] * 6, "z": [2.0] * 6, "label": LABELS}))


def test_rows_without_any_value_are_listed() -> None:
    frame = flowers()
    frame.loc[4, ["width", "petals", "colour", "kind"]] = np.nan
    task = read(frame, label="species", duplicates=False)
    assert [(s.item, s.reason) for s in task.skipped] == [
        ("row 5", "no value in any feature column")
    ]


# -------------------------------------------------------------------------------- test part


def test_test_part_has_the_same_columns(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    flowers().to_csv(train, index=False)
    flowers(10, 1)[["species", "kind", "colour", "petals", "width"]].to_csv(test, index=False)
    task = read(train, label="species", test=test, duplicates=False)
    assert task.test is not None
    assert task.test.n == 10
    assert list(task.test.items.columns) == list(task.items.columns)
    assert task.test.classes == task.classes
    flowers(10).drop(columns="kind").to_csv(test, index=False)
    with pytest.raises(DataError, match="misses columns of the training part: kind"):
        read(train, label="species", test=test)
    broken = flowers(10).astype({"width": object})
    broken.loc[3, "width"] = "wide"
    broken.to_csv(test, index=False)
    with pytest.raises(DataError, match=r"'width' held a number.*row 4|row 4.*'width'"):
        read(train, label="species", test=test)


def test_unseen_classes_are_named() -> None:
    with pytest.raises(DataError, match=r"classes that the training part has not: 'meh'"):
        read((TEXTS, LABELS), test=(["quite another text altogether"], ["meh"]))


def test_leaked_training_items_leave_the_training_part() -> None:
    task = read((TEXTS, LABELS), test=([TEXTS[2], "something else entirely now"], ["pos", "neg"]))
    assert task.test is not None
    assert (task.n, task.test.n) == (5, 2)
    assert [(s.item, s.reason) for s in task.skipped] == [("row 3", "repeats the test item row 1")]
    assert "1 training items that repeat a test item are left out" in said(task)
    assert not np.isin(task.groups, task.test.groups).any()
    with pytest.raises(DataError, match="every training item repeats"):
        read((TEXTS, LABELS), test=(TEXTS, LABELS))
    with pytest.raises(DataError, match=r"classes are gone.*'c'"):
        read((TEXTS, list("ababcc")), test=(TEXTS[4:], ["c", "c"]))


def test_test_part_of_another_form() -> None:
    with pytest.raises(DataError, match="test part is table"):
        read((TEXTS, LABELS), test=(np.eye(3), [1, 2, 3]))
    with pytest.raises(DataError, match="test part has no labels"):
        read((TEXTS, LABELS), test=TEXTS)


# ------------------------------------------------------------------------ groups, duplicates


def test_groups_join_duplicates_and_the_users_own() -> None:
    texts = [TEXTS[0], TEXTS[1], TEXTS[0], TEXTS[3], TEXTS[4], TEXTS[5]]
    frame = pd.DataFrame({"text": texts, "label": LABELS, "who": ["x", "y", "z", "z", None, None]})
    task = read(frame, group="who")
    assert task.grouped
    assert task.groups.tolist() == [0, 1, 0, 0, 2, 3]
    plain = read(frame[["text", "label"]])
    assert not plain.grouped
    assert plain.groups.tolist() == [0, 1, 0, 2, 3, 4]
    assert read(frame[["text", "label"]], duplicates=False).groups.tolist() == list(range(6))
    beside = read(texts, label=LABELS, group=["x", "y", "z", "z", None, None])
    assert beside.groups.tolist() == task.groups.tolist()


def test_conflicting_duplicates_are_told() -> None:
    task = read([TEXTS[0], TEXTS[0], *TEXTS[2:]], label=LABELS)
    assert task.n == 6
    assert "1 sets of identical items have different labels" in said(task)


def test_groups_in_both_parts_are_told() -> None:
    frame = reviews(who=list("aabbcc"))
    test = pd.DataFrame({"text": ["a text that is new"], "label": ["pos"], "who": ["a"]})
    assert "1 groups lie in both" in said(read(frame, group="who", test=test))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25))
def test_components_are_the_finest_join(pairs: list[tuple[int, int]]) -> None:
    first, second = (np.array(column) for column in zip(*pairs, strict=True))
    joined = components(first, second)
    n = len(pairs)
    reach = (first[:, None] == first) | (second[:, None] == second)
    for _ in range(n):
        reach = reach | (reach @ reach)
    assert ((joined[:, None] == joined) == reach).all()


# ---------------------------------------------------------------------------- python forms


class HFText:
    """What a Hugging Face Dataset looks like from outside."""

    class ClassLabel:
        def int2str(self, value: int) -> str:
            return ["neg", "pos"][value]

    def __init__(self) -> None:
        self.features = {"text": object(), "label": self.ClassLabel()}
        self.columns = {"text": TEXTS, "label": [1, 0, 1, 0, 1, -1]}

    def __getitem__(self, name: str) -> list[object]:
        return list(self.columns[name])

    def to_pandas(self) -> pd.DataFrame:
        return pd.DataFrame(self.columns)


def test_forms_in_memory_agree() -> None:
    forms = [
        read(reviews()),
        read((TEXTS, LABELS)),
        read((np.array(TEXTS), pd.Series(LABELS))),
        read(TEXTS, label=LABELS),
        read({"text": TEXTS, "label": LABELS}),
        read([{"text": a, "label": b} for a, b in zip(TEXTS, LABELS, strict=True)]),
        read(pd.DataFrame({"text": TEXTS}), label=LABELS),
        read({"train": reviews(), "test": reviews(text=["w x y z " + t for t in TEXTS])}),
    ]
    assert {task.fingerprint for task in forms} == {forms[0].fingerprint}
    assert forms[-1].test is not None
    assert read((TEXTS[::-1], LABELS)).fingerprint != forms[0].fingerprint
    assert read((TEXTS, LABELS[::-1])).fingerprint != forms[0].fingerprint


def test_hugging_face_datasets_name_their_classes() -> None:
    task = read(HFText())
    assert task.classes == ("neg", "pos")
    assert [entry.item for entry in task.skipped] == ["row 6"]


def test_arrays() -> None:
    rng = np.random.default_rng(0)
    table = read((rng.normal(size=(12, 3)), [0, 1] * 6))
    assert table.modality == "table"
    assert list(table.items.columns) == ["x0", "x1", "x2"]
    rows = read([[0.1, 2.0], [3.0, 0.5], [1.5, 4.0], [2.0, 2.5]], label=list("aabb"))
    assert rows.modality == "table"
    pictures = rng.integers(0, 255, size=(6, 40, 40, 3), dtype=np.uint8)
    images = read((pictures, LABELS))
    assert images.modality == "image"
    assert images.items[1].shape == (40, 40, 3)
    assert read((list(pictures), LABELS)).fingerprint == images.fingerprint


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (7, "not read"),
        ([], "no items"),
        ([1, 2, 3], "a list of numbers"),
        ((np.zeros((2, 2, 2, 2, 2)), [1, 2]), "array of rows or of images"),
        (TEXTS, "no labels"),
    ],
)
def test_objects_that_are_no_data(data: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(data)


def test_labels_twice_or_columns_of_a_list() -> None:
    with pytest.raises(OptionError, match="two labels"):
        read((TEXTS, LABELS), label=LABELS)
    with pytest.raises(OptionError, match="a list has no columns"):
        read(TEXTS, label=LABELS, text="text")
    with pytest.raises(DataError, match="expected texts"):
        read([*TEXTS[:5], 3], label=LABELS, modality="text")
    frame = pd.DataFrame({"text": [*TEXTS[:5], ["a list"]], "label": LABELS})
    with pytest.raises(DataError, match="row 6: expected a text"):
        read(frame)


def test_values_beside_a_table_file(tmp_path: Path) -> None:
    reviews().to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(OptionError, match="name a column"):
        read(tmp_path / "a.csv", label=LABELS)
    with pytest.raises(DataError, match="form of DATA"):
        read((TEXTS, LABELS), test=tmp_path / "a.csv")


def test_unlabelled_data() -> None:
    task = read(pd.DataFrame({"text": TEXTS}), labelled=False)
    assert task.labels is None
    assert task.n == 6


def test_domains() -> None:
    task = read(reviews(site=["u", "v"] * 3), domain="site")
    assert task.domains is not None
    assert task.domains.tolist() == ["u", "v"] * 3


def test_data_that_only_judge_may_hold_one_class_or_one_item_a_class():
    with pytest.raises(DataError, match="at least two classes"):
        read(["a fine day", "a good day"], label=["yes", "yes"])
    one = read(["a fine day", "a good day"], label=["yes", "yes"], judging=True)
    assert one.classes == ("yes",)
    single = read(["a fine day", "a bad night"], label=["yes", "no"], judging=True)
    assert single.n == 2


def test_one_item_a_class_is_enough_where_a_test_part_judges():
    train = pd.DataFrame({"text": ["a fine long day", "a bad dark night"], "label": ["yes", "no"]})
    test = pd.DataFrame(
        {"text": ["what a good day it is", "a terrible night"], "label": ["yes", "no"]}
    )
    with pytest.raises(DataError, match="one item only"):
        read(train, label="label", text="text")
    task = read(train, label="label", text="text", test=test)
    assert (task.n, task.test.n) == (2, 2)
