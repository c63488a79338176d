"""Is a mail spam, and does that still hold on another kind of mail?

Learns from easy mails, answers only where it is sure enough to be wrong on at most 2 % of its
answers, and is then judged on mails that were collected to be hard.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

import headstart as hs

EASY = {"easy-ham-1": "ham", "easy-ham-2": "ham", "spam-1": "spam"}
HARD = {"hard-ham-1": "ham", "spam-2": "spam"}
LONGEST = 600  # characters: what a mail is about stands at its beginning


def mails(home: Path, folders: dict[str, str], each: int) -> pd.DataFrame:
    """Return the subject and the beginning of mails, at most ``each`` of a kind.

    Parameters
    ----------
    home : Path
        A folder of folders of JSON files, a mail each, its source under ``text``.
    folders : dict of str to str
        The label of each folder.
    each : int
    """
    rng = np.random.default_rng(0)
    rows = {
        " ".join([*titles(head), body])[:LONGEST].strip(): label
        for folder, label in folders.items()
        for path in sorted((home / folder).glob("*.json"))
        for head, _, body in [json.loads(path.read_text()).get("text", "").partition("\n\n")]
    }
    frame = pd.DataFrame([pair for pair in rows.items() if pair[0]], columns=["text", "label"])
    parts = [part.iloc[rng.permutation(len(part))[:each]] for _, part in frame.groupby("label")]
    return pd.concat(parts).sort_index(ignore_index=True)


def titles(head: str) -> list[str]:
    """Return the subject among the header lines of a mail."""
    return [line[8:].strip() for line in head.splitlines() if line.lower().startswith("subject:")]


def main(data: str, *, each: int = 200, risk: float = 0.02, budget: str = "3m") -> None:
    """Fit on easy mails, judge on hard ones.

    Parameters
    ----------
    data : str
        The folder ``data`` of the corpus.
    each : int
        Mails of a kind to learn from.
    risk : float
        Share of the answers that may be wrong.
    budget : str
        Time for all of it.
    """
    home = Path(data)
    easy, hard = mails(home, EASY, each), mails(home, HARD, each)
    result = hs.fit(easy, label="label", text="text", max_risk=risk, budget=budget, curve=False)
    print(result.gain)
    for sentence in result.sentences():
        print(sentence)
    if result.abstention is not None:
        print(result.abstention.promise)
    task = hs.data.read(hard, label="label", text="text", judging=True)
    there = result.model.evaluate(task)
    print(f"on {there['n']} hard mails: accuracy {there['accuracy']:.3f}", end="; ")
    silent = result.model.abstains(hard["text"].tolist())
    print(f"it abstains on {silent.mean():.0%} of them")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="the folder `data` of the corpus")
    parser.add_argument("--each", type=int, default=200, help="mails of a kind (200)")
    parser.add_argument("--risk", type=float, default=0.02, help="wrong answers allowed (0.02)")
    parser.add_argument("--budget", default="3m", help="time for all of it (3m)")
    main(**vars(parser.parse_args()))
