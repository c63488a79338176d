"""Speech to text before and after tuning: Italian telephone prompts, from one voice to another.

Debian's asterisk-core-sounds-it-wav 1.6.1-1 (Carlo) and asterisk-prompt-it-menardi-wav
1:1.4.22+mm20110907-3.1 (Menardi), checked as in ``audio.py``; the packages ship no transcripts,
but for numbers, days, months and signs the name of a file gives the word that is spoken. What is
judged are spliced announcements of these words, as a telephone system plays them, and the words.

    python benchmarks/speech.py DIR --part across [-o across.json]

DIR holds the two .deb files. The parts: ``across`` voices, ``within`` one, ``guarded`` (transcripts
that are wrong), ``silences`` (how far short sounds are padded).
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import torch

import headstart as hs
from audio import unpacked
from headstart.evaluate.additive import additive_gain, additive_score
from headstart.evaluate.edit_distance import CER, WER
from headstart.sequences import Examples, kind_of, speech_hear
from headstart.sequences.contest import folds_of

PARTS = ("across", "within", "guarded", "silences")
WRONG = 12
"""Recordings with the transcripts of others, for the guard."""
UNITS = """
zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici
quindici sedici diciassette diciotto diciannove
""".split()  # noqa: SIM905
TENS = "vent trent quarant cinquant sessant settant ottant novant".split()  # noqa: SIM905
DAYS = "domenica lunedì martedì mercoledì giovedì venerdì sabato".split()  # noqa: SIM905
MONTHS = """
gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre
""".split()  # noqa: SIM905
OTHERS = {
    "digits/hundred": "cento",
    "digits/thousand": "mille",
    "digits/thousands": "mila",
    "digits/million": "milione",
    "digits/millions": "milioni",
    "digits/minutes": "minuti",
    "digits/hours": "ore",
    "digits/today": "oggi",
    "digits/tomorrow": "domani",
    "digits/yesterday": "ieri",
    "digits/minus": "meno",
    "digits/dollars": "dollari",
    "digits/euros": "euro",
    "digits/star": "asterisco",
    "digits/pound": "cancelletto",
    "letters/plus": "più",
    "letters/dash": "trattino",
    "letters/dot": "punto",
    "letters/slash": "barra",
    "letters/equals": "uguale",
    "letters/space": "spazio",
    "letters/at": "chiocciola",
}
GAP = 0.1  # s between two prompts


def words() -> dict[str, str]:
    """Return what is spoken in a file, by its name."""
    found = {f"digits/{i}": word for i, word in enumerate(UNITS)}
    for i, stem in enumerate(TENS, start=2):
        found[f"digits/{10 * i}"] = stem + ("i" if i == 2 else "a")
        found |= {f"digits/{10 * i + 1}": stem + "uno", f"digits/{10 * i + 8}": stem + "otto"}
    found |= {f"digits/day-{i}": word for i, word in enumerate(DAYS)}
    found |= {f"digits/mon-{i}": word for i, word in enumerate(MONTHS)}
    return found | OTHERS


def announcements(known: dict[str, str], count: int, seed: int) -> list[list[str]]:
    """Return dates, amounts and numbers of four digits as lists of prompts."""
    rng = np.random.default_rng(seed)
    numbers = [name for name in known if name.removeprefix("digits/").isdigit()]
    of_month = [name for name in numbers if 2 <= int(name[7:]) <= 31]
    days = [name for name in known if "day-" in name]
    months = [name for name in known if "mon-" in name]
    units = [f"digits/{name}" for name in ("euros", "dollars", "minutes", "hours")]
    digits = [f"digits/{i}" for i in range(10)]
    shapes = ((days, of_month, months), (numbers[2:], units), (digits,) * 4)
    return [
        [str(rng.choice(one)) for one in shapes[number % len(shapes)]] for number in range(count)
    ]


def recordings(
    voice: Path, wanted: list[list[str]], known: dict[str, str], out: Path
) -> tuple[list[str], list[str]]:
    """Write prompts one after another; return files and transcripts."""
    out.mkdir(parents=True)
    files, texts = [], []
    for number, names in enumerate(wanted):
        parts = []
        for name in names:
            samples, rate = sf.read(voice / f"{name}.wav", dtype="float32")
            parts += [samples, np.zeros(round(GAP * rate), np.float32)]
        files.append(str(out / f"{number}.wav"))
        sf.write(files[-1], np.concatenate(parts[:-1]), rate)
        texts.append(" ".join(known[name] for name in names))
    return files, texts


def examples(files: list[str], texts: list[str]) -> Examples:
    """Return examples whose groups are sentences: none is learnt from and judged at once."""
    groups = np.unique(texts, return_inverse=True)[1].astype(np.int64)
    return Examples(tuple(files), tuple(texts), tuple(files), groups)


def length(one: Examples) -> float:
    """Return the minutes of sound."""
    return sum(sf.info(file).duration for file in one.inputs) / 60


def spelled(text: str) -> str:
    """Return a text with its numerals as Italian words: what is left is no matter of style."""
    names = {key[7:]: word for key, word in words().items() if key[7:].isdigit()}
    tens = {i: names[str(10 * i)] for i in range(2, 10)}

    def one(found: re.Match[str]) -> str:
        number = str(int(found[0])) if len(found[0]) < 3 else found[0]
        if len(number) > 2:
            return " ".join(names[digit] for digit in number)
        known = names.get(number)
        return known or tens[int(number[0])] + names[number[1]]

    return re.sub(r"[0-9]+", lambda found: f" {one(found)} ", text)


def rates(truth: tuple[str, ...], said: list[str], base: list[str], groups: Any) -> dict[str, Any]:
    """Return both error rates with intervals, and what was gained over the untouched source."""
    found: dict[str, Any] = {}
    for measure in (WER, CER):
        own, before = measure.of(truth, said), measure.of(truth, base)
        one = additive_score(measure, own, groups=groups)
        gain = additive_gain(measure, own, before, groups=groups, name="untouched")
        found[measure.name] = [one.estimate, one.low, one.high]
        fair = measure.of(truth, [spelled(text) for text in said])
        found[f"{measure.name}_spelled"] = measure.total(fair)
        found[f"{measure.name}_gain"] = [gain.estimate, gain.low, gain.high, gain.verdict]
    return found


def across(
    kind: Any, train: Examples, tests: dict[str, Examples], seeds: tuple[int, ...], what: str
) -> list[dict[str, Any]]:
    """Learn from one voice, judge on others."""
    plan, rows = kind.plan(train), []
    base: dict[str, list[str]] = {}
    for one in (plan.baseline, *plan.transfers):
        first = one is plan.baseline
        for seed in seeds[:1] if first else seeds:
            started = time.process_time()
            model = one.fit(train, seed=seed)
            fitted = time.process_time() - started
            for name, test in tests.items():
                started = time.process_time()
                said = [answer.value for answer in model.predict(test.inputs)]
                spent = time.process_time() - started
                if first:
                    base[name] = said
                row = {"setting": what, "judged_on": name, "strategy": one.strategy, "seed": seed}
                row |= rates(test.targets, said, base[name], test.groups)
                row |= {"n": test.n, "fit_seconds": fitted, "answer_seconds": spent}
                row |= {"train_minutes": length(train), "minutes": length(test)}
                row["examples"] = list(zip(test.targets, said, strict=True))[:6]
                row["decisions"] = [str(told) for told in model.decisions]
                print(json.dumps(row, ensure_ascii=False), flush=True)
                rows.append(row)
    return rows


def within(kind: Any, data: Examples, what: str) -> list[dict[str, Any]]:
    """Learn from some sentences of a voice, judge on others of it, in folds."""
    plan, rows = kind.plan(data), []
    base: list[str] = []
    for one in (plan.baseline, *plan.transfers):
        said = [""] * data.n
        started = time.process_time()
        for train, held in folds_of(data, seed=0):
            model = one.fit(data.take(train), seed=0)
            answers = model.predict(data.take(held).inputs)
            for place, answer in zip(held, answers, strict=True):
                said[place] = answer.value
        base = base or said
        row = {"setting": what, "judged_on": "other sentences, out of fold", "seed": 0}
        row |= {"strategy": one.strategy, "n": data.n}
        row |= rates(data.targets, said, base, data.groups)
        row["seconds"] = time.process_time() - started
        print(json.dumps(row, ensure_ascii=False), flush=True)
        rows.append(row)
    return rows


def silences(test: Examples, kind: Any) -> list[dict[str, Any]]:
    """Return how the untouched source does where sounds are padded to so many seconds."""
    rows, usual = [], speech_hear.LEAST
    for seconds in (2.0, usual, 30.0):
        speech_hear.LEAST = seconds
        started = time.process_time()
        model = kind.plan(test).baseline.fit(test)
        said = [answer.value for answer in model.predict(test.inputs)]
        row = {"setting": "padding", "seconds_at_least": seconds, "n": test.n}
        row |= rates(test.targets, said, said, test.groups)
        row["processor_seconds"] = time.process_time() - started
        print(json.dumps(row), flush=True)
        rows.append(row)
    speech_hear.LEAST = usual
    return rows


def guarded(folder: Path, train: Examples, test: Examples) -> dict[str, Any]:
    """Fit on recordings whose transcripts are those of others; return what is handed back.

    Numbers are written as digits, as the source writes them: there is no style to learn, and what
    is wrong can only harm.
    """
    wrong = [*train.targets[1:WRONG], train.targets[0]]
    tables = []
    for name, files, texts in (
        ("train", train.inputs[:WRONG], wrong),
        ("test", test.inputs, test.targets),
    ):
        tables.append(folder / f"{name}.csv")
        lines = [f"{file},{text}" for file, text in zip(files, texts, strict=True)]
        tables[-1].write_text("\n".join(["audio,transcript", *lines]) + "\n", "utf-8")
    result = hs.fit(str(tables[0]), test=str(tables[1]), task="speech-to-text", budget="30m")
    told = result.to_json()
    row = {
        "setting": f"{WRONG} wrong transcripts",
        **{key: told[key] for key in ("chosen", "score", "transfer", "gain")},
    }
    print(json.dumps(row, ensure_ascii=False, default=str), flush=True)
    return row


def _as_digits(name: str, word: str) -> str:
    number = name.removeprefix("digits/")
    return number if number.isdigit() else word


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--part", choices=PARTS, nargs="+", default=PARTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    folders, sounds = unpacked(options.folder), "usr/share/asterisk/sounds"
    carlo = folders["asterisk-core-sounds-it-wav"] / sounds / "it_IT_m_Carlo"
    menardi = folders["asterisk-prompt-it-menardi-wav"] / sounds / "it_IT_f_Menardi"
    known = {
        name: word
        for name, word in words().items()
        if all((voice / f"{name}.wav").is_file() for voice in (carlo, menardi))
    }
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        same = announcements(known, options.count, 0)
        other = [one for one in announcements(known, 3 * options.count, 1) if one not in same]
        train = examples(*recordings(carlo, same, known, home / "train"))
        tests = {
            "other voice, same sentences": examples(
                *recordings(menardi, same, known, home / "same")
            ),
            "other voice, other sentences": examples(
                *recordings(menardi, other[: options.count], known, home / "other")
            ),
        }
        kind = kind_of("speech-to-text")
        try:
            seeds = tuple(range(options.seeds))
            if "across" in options.part:
                rows += across(kind, train, tests, seeds, "announcements")
            if "guarded" in options.part:
                digits = {name: _as_digits(name, word) for name, word in known.items()}
                learnt = examples(*recordings(carlo, same, digits, home / "wrong"))
                judged = examples(*recordings(menardi, same, digits, home / "judged"))
                rows.append(guarded(home, learnt, judged))
            if "silences" in options.part:
                rows += silences(tests["other voice, other sentences"], kind)
            if "within" in options.part:
                rows += within(kind, train, "announcements, one voice")
        finally:
            if options.output:
                options.output.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
