"""Each problem, planted, is found; sound data has none."""

import io
import json

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from PIL import Image

from headstart.core.errors import OptionError
from headstart.core.types import Decision, Skipped, Task
from headstart.data.check import check
from headstart.data.findings import many

WORDS = [
    *("river", "stone", "cloud", "ember", "forest", "lantern"),
    *("meadow", "harbour", "copper", "violet", "thunder", "marble"),
]


def sentences(n, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, 8)) for _ in range(n)]


def task(items, labels=None, modality="text", test=None, kind="classification", **more):
    n = len(items)
    if labels is not None:
        labels = np.array(labels, object if kind == "classification" else float)
    known = labels is not None and kind == "classification"
    return Task(
        modality,
        kind,
        items,
        labels,
        more.pop("ids", tuple(f"item {i}" for i in range(n))),
        np.arange(n),
        classes=tuple(sorted(set(labels))) if known else (),
        test=test,
        **more,
    )


def kinds(report):
    return {finding.kind: finding for finding in report.findings}


def test_sound_data_have_no_findings():
    texts = sentences(40)
    report = check(task(texts, ["a", "b"] * 20, test=task(sentences(10, 1), ["a", "b"] * 5)))
    assert report.findings == ()
    assert report.ok
    assert report.counts == {
        "items": 40,
        "test_items": 10,
        "classes": 2,
        "errors": 0,
        "warnings": 0,
        "infos": 0,
    }


def test_duplicates_conflicts_and_near_conflicts():
    texts = sentences(40)
    texts[5] = texts[3]
    texts[7] = texts[2] + "!"
    texts[8] = texts[4] + "?"
    labels = ["a", "b"] * 20
    report = check(task(texts, labels))
    found = kinds(report)
    assert found["exact-duplicates"].items == ("item 5",)
    assert found["exact-duplicates"].notes == ("repeats item 3",)
    assert found["near-duplicates"].items == ("item 7", "item 8")
    assert "conflicting-labels" not in found
    assert found["near-conflicts"].items == ("item 7",)
    assert found["near-conflicts"].notes == ("b, but item 2 is a",)
    labels[5] = "a"
    conflict = kinds(check(task(texts, labels)))["conflicting-labels"]
    assert (conflict.severity, conflict.items) == ("warning", ("item 5",))


def test_many_repeats_are_a_warning():
    assert kinds(check(task(["same text here"] * 20, ["a", "b"] * 10)))[
        "exact-duplicates"
    ].severity == ("warning")


def test_leakage_in_the_task_and_as_read():
    texts = sentences(40)
    test = task([texts[3], texts[6].upper(), *sentences(8, 1)], ["a", "b"] * 5)
    report = check(task(texts, ["a", "b"] * 20, test=test))
    leak = kinds(report)["leakage"]
    assert (leak.severity, leak.items) == ("error", ("item 3", "item 6"))
    assert leak.notes == ("repeats item 0", "repeats item 1")
    assert not report.ok
    skipped = (Skipped("item 99", "repeats the test item t1"),)
    read = check(task(texts, ["a", "b"] * 20, skipped=skipped))
    assert (kinds(read)["leakage"].severity, kinds(read)["leakage"].items) == (
        "warning",
        ("item 99",),
    )
    assert "unreadable" not in kinds(read)


@pytest.mark.parametrize(("n", "severity"), [(1, "warning"), (5, "error")])
def test_unreadable(n, severity):
    skipped = tuple(Skipped(f"{i}.txt", "no label") for i in range(n))
    found = kinds(check(task(sentences(40), ["a", "b"] * 20, skipped=skipped)))["unreadable"]
    assert (found.severity, found.count, found.notes[0]) == (severity, n, "no label")


def test_tiny_imbalanced_and_variant_classes():
    labels = ["cat"] * 30 + ["dog"] * 9 + ["Dog "] * 1
    found = kinds(check(task(sentences(40), labels)))
    assert found["tiny-classes"].items == ("Dog ",)
    assert found["tiny-classes"].notes == ("1 item",)
    assert "learnt from and judged" in found["tiny-classes"].advice
    assert found["imbalance"].severity == "warning"
    assert found["imbalance"].items == ("cat", "Dog ")
    assert found["label-variants"].notes == ("'dog' and 'Dog '",)
    mild = kinds(check(task(sentences(40), ["a"] * 32 + ["b"] * 8)))
    assert mild["imbalance"].severity == "info"


def test_one_class_and_no_labels():
    assert not check(task(sentences(6), ["a"] * 6)).ok
    assert check(task(sentences(6))).findings == ()


def test_classes_of_the_test_part():
    report = check(
        task(sentences(40), ["a", "b"] * 20, test=task(sentences(10, 1), ["a", "c"] * 5))
    )
    assert kinds(report)["unseen-classes"].items == ("c",)
    assert kinds(report)["unjudged-classes"].items == ("b",)
    unlabelled = check(task(sentences(40), ["a", "b"] * 20, test=task(sentences(10, 1))))
    assert unlabelled.findings == ()


def test_suspect_labels():
    labels = np.array(["a", "b"] * 20, object)
    chances = np.where(np.array([labels == "a", labels == "b"]).T, 0.9, 0.1)
    chances[3] = [0.95, 0.05]
    found = kinds(check(task(sentences(40), labels), probabilities=chances))["suspect-labels"]
    assert (found.items, found.notes) == (("item 3",), ("labelled b, looks like a",))
    with pytest.raises(OptionError, match="do not fit"):
        check(task(sentences(40), labels), probabilities=chances[:5])


def test_regression():
    texts = sentences(20)
    texts[1] = texts[0]
    values = list(range(20))
    found = kinds(check(task(texts, values, kind="regression")))
    assert found["conflicting-labels"].severity == "info"
    assert "value" in found["conflicting-labels"].text
    assert kinds(check(task(sentences(20), [1] * 20, kind="regression")))["one-value"]


def test_texts():
    texts = [*sentences(40), "", "  ", "x", "word " * 2500]
    found = kinds(check(task(texts, ["a", "b"] * 22)))
    assert found["empty-texts"].items == ("item 40", "item 41")
    assert found["short-texts"].items == ("item 42",)
    assert found["long-texts"].notes == ("2,500 words",)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_images(tmp_path):
    rng = np.random.default_rng(0)

    def photo(width=64, height=64):
        small = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        return Image.fromarray(small).resize((width, height))

    files = {
        "a.png": encoded(photo()),
        "tiny.png": encoded(photo(20, 20)),
        "slim.png": encoded(photo(320, 40)),
        "large.png": encoded(Image.new("1", (4001, 3000))),
        "cmyk.jpg": encoded(photo().convert("CMYK"), "JPEG"),
        "moving.gif": encoded(photo(), "GIF", save_all=True, append_images=[photo()]),
        "cut.png": encoded(photo())[:-2000],
        "empty.png": b"",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    paths = [str(tmp_path / name) for name in files]
    labels = ["a", "b"] * 4
    found = kinds(check(task(paths, labels, "image", ids=tuple(files))))
    assert found["unreadable"].items == ("cut.png", "empty.png")
    assert found["tiny-images"].items == ("tiny.png",)
    assert found["slim-images"].notes == ("320 x 40",)
    assert found["large-images"].items == ("large.png",)
    assert set(found["unusual-modes"].items) == {"cmyk.jpg", "large.png", "moving.gif"} - (
        set() if Image.open(io.BytesIO(files["moving.gif"])).mode == "P" else {"moving.gif"}
    )
    assert found["several-frames"].items == ("moving.gif",)


def test_tables():
    n = 40
    frame = pd.DataFrame(
        {
            "size": np.random.default_rng(0).normal(size=n),
            "row": np.arange(n) + 100,
            "name": [f"n{i}" for i in range(n)],
            "same": "x",
            "gaps": [np.nan, *range(n - 1)],
        }
    )
    left_out = (Decision("column 'id' is left out", "it numbers the rows"), Decision("x", "y"))
    found = kinds(check(task(frame, ["a", "b"] * 20, "table", decisions=left_out)))
    assert found["constant-columns"].items == ("same",)
    assert found["id-columns"].items == ("row", "name")
    assert found["missing-values"].items == ("gaps",)
    assert found["missing-values"].severity == "info"
    assert found["columns-left-out"].notes == ("it numbers the rows",)
    frame["gaps"] = [np.nan] * 20 + list(range(20))
    assert (
        kinds(check(task(frame, ["a", "b"] * 20, "table")))["missing-values"].severity == "warning"
    )


def test_tables_with_a_test_part_and_rows_that_coincide():
    frame = pd.DataFrame({"a": np.arange(20.0)})
    leaky = check(
        task(frame, ["a", "b"] * 10, "table", test=task(frame.iloc[:3], ["a", "b", "a"], "table"))
    )
    assert kinds(leaky)["leakage"].count == 3
    flags = pd.DataFrame({"a": [0, 1] * 20})
    found = kinds(check(task(flags, ["a", "b"] * 20, "table")))
    assert found["exact-duplicates"].severity == "info"
    assert "coincidence" in found["exact-duplicates"].advice


def test_audio_is_checked_for_copies(tmp_path):
    for i in range(10):
        sf.write(tmp_path / f"{i}.wav", np.linspace(-0.5, 0.1 * (i // 2), 900), 8000)
    paths = [str(tmp_path / f"{i}.wav") for i in range(10)]
    assert kinds(check(task(paths, ["a", "b"] * 5, "audio")))["exact-duplicates"].count == 5


def test_report_is_json_worst_first_and_names_twenty_items():
    texts = ["same words again"] * 40
    report = check(task(texts, ["a"] * 40))
    assert [finding.severity for finding in report.findings] == ["error", "warning"]
    plain = json.loads(json.dumps(report.to_json()))
    assert plain["ok"] is False
    assert plain["counts"]["errors"] == 1
    repeats = next(each for each in plain["findings"] if each["kind"] == "exact-duplicates")
    assert (repeats["count"], len(repeats["items"]), len(repeats["notes"])) == (39, 20, 20)


def test_many():
    assert [many(1, "class"), many(2, "class"), many(2, "entry"), many(1200, "item")] == [
        "1 class",
        "2 classes",
        "2 entries",
        "1,200 items",
    ]
