"""Sources for sounds: one spoken word each, voice to voice; drums, kit to kit; padding or none.

``python audio.py --debs FOLDER`` reads the Debian packages asterisk-core-sounds-it-wav 1.6.1-1,
asterisk-prompt-it-menardi-wav 1:1.4.22+mm20110907-3.1 and hydrogen-drumkits 2017.09.19~dfsg-1
(``apt-get download`` them into FOLDER; their sha256 are pinned). ``results/audio.{jsonl,md}``.

Words: the 180 recordings of ``digits/`` and ``letters/`` (8 kHz) that Carlo and Menardi both have;
the nearest neighbour by cosine, and class means, of one example each. Which source, block and
number of parts is best was looked at on these very words and drums: the best is optimistic.
Drums: hits of five kinds, by their file names, of eleven kits; each kit by a probe that learnt on
the others; intervals are bootstraps over kits. Padding: every fourth word with half a second of
silence before and behind it, and padded to 30 s as the model was trained.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common import RESULTS, machine
from headstart import sources, strategies
from headstart.data.audio import audio_windows, read_audio
from headstart.encode.audio import collate
from headstart.encode.mel import front_end, mel_power, sounding
from headstart.sources.backbone import pool_frames

DEBS = {
    "asterisk-core-sounds-it-wav_1.6.1-1_all.deb": (
        "5a26638089e134b8ac39363fe249c5c93c50cd8bfdc9b2499ae61ec4a35e2fcb"
    ),
    "asterisk-prompt-it-menardi-wav_1%3a1.4.22+mm20110907-3.1_all.deb": (
        "3094530d98f8758ac275572d59624c41f60969fef883f34f4886d144f3dfeb21"
    ),
    "hydrogen-drumkits_2017.09.19~dfsg-1_all.deb": (
        "6ea3c6df9a67762e2362f946c695e619859126b19fbccf32a2e8f07dfd03b2f4"
    ),
}
SOURCES = ("whisper-base", "ge2e", "musicnn")
PARTS = (1, 2, 3, 4)
KINDS = {
    "kick": r"kick|bass ?drum|^bd|_bd|_k_",
    "snare": r"snare|^sn|_sn_|^sd_",
    "hi-hat": r"hi-?hat|^hh|_hh|hat|chh|ohh|^ho_",
    "tom": r"tom|^t\d_|^ft_|^tm",
    "cymbal": r"crash|ride|china|splash|^cra|^cc_|^rc_|^rd",
}
SOUNDS = (".wav", ".flac", ".aiff")


def unpacked(folder: Path) -> dict[str, Path]:
    """Return where the contents of the packages lie, unpacked beside them."""
    found = {}
    for name, sha256 in DEBS.items():
        deb = folder / name
        got = hashlib.sha256(deb.read_bytes()).hexdigest()
        if got != sha256:
            raise SystemExit(f"{deb} is not the file that was measured: sha256 {got}")
        out = folder / deb.name.partition("_")[0]
        if not out.is_dir():
            subprocess.run(["dpkg-deb", "-x", deb, out], check=True)
        found[out.name] = out
    return found


def words(folders: dict[str, Path]) -> tuple[list[str], dict[str, list[Path]]]:
    """Return the names of the words, and for each voice its recordings of them."""
    sounds = "usr/share/asterisk/sounds"
    carlo = folders["asterisk-core-sounds-it-wav"] / sounds / "it_IT_m_Carlo"
    menardi = folders["asterisk-prompt-it-menardi-wav"] / sounds / "it_IT_f_Menardi"
    names = sorted(
        path.relative_to(carlo).as_posix()
        for part in ("digits", "letters")
        for path in (carlo / part).glob("*.wav")
        if (menardi / part / path.name).is_file()
    )
    voices = {"Carlo": carlo, "Menardi": menardi}
    return names, {voice: [home / name for name in names] for voice, home in voices.items()}


def drums(folders: dict[str, Path]) -> tuple[list[Path], np.ndarray, np.ndarray]:
    """Return hits, their kinds and their kits; names that say two kinds or none are left out."""
    home = folders["hydrogen-drumkits"] / "usr/share/hydrogen/data/drumkits"
    rows = []
    for path in sorted(home.glob("*/*")):
        kinds = [kind for kind, rule in KINDS.items() if re.search(rule, path.stem.lower())]
        if path.suffix in SOUNDS and len(kinds) == 1:
            rows.append((path, kinds[0], path.parent.name))
    paths, kinds_, kits = zip(*rows, strict=True)
    return list(paths), np.array(kinds_, dtype=object), np.array(kits, dtype=object)


def every_block(
    name: str, items: Sequence[Path], time_parts: Sequence[int] = PARTS, **changed: Any
) -> tuple[dict[tuple[str, int], np.ndarray], float]:
    """Return the features of every block and number of parts, and the processor seconds it took."""
    backbone = sources.load(name)
    spec = {**backbone.card.input, **changed}
    front = front_end(spec)
    found: dict[tuple[str, int], list[np.ndarray]] = {}
    started = time.process_time()
    for item in items:
        windows = audio_windows(item, rate=spec["rate"], seconds=spec["seconds"], most=20)
        rows = [pair for samples in windows for pair in zip(*front(samples), strict=True)]
        weight = np.array([int((mask == 1).sum()) for _, mask in rows], dtype=float)
        with torch.inference_mode():
            state = backbone.start(collate(rows))
            for block, module in zip(backbone.block_names, backbone.blocks, strict=True):
                state = module(state)
                for parts in time_parts if state[0].shape[1] > 1 else (1,):
                    made = pool_frames(*state, parts=parts).numpy()
                    mean = np.average(made, axis=0, weights=weight)
                    found.setdefault((block, parts), []).append(mean.astype(np.float32))
    seconds = time.process_time() - started
    return {key: np.stack(made) for key, made in found.items()}, seconds


def cepstra(item: Path) -> np.ndarray:
    """Return 20 cepstral coefficients of every 10 ms between the first and the last sound."""
    from scipy.fft import dct

    wave = read_audio(item, rate=16000)
    first, last = sounding(wave, size=320, floor=40)
    kept = torch.from_numpy(wave[320 * first : 320 * last])
    mels = mel_power(kept, rate=16000, n_fft=400, hop=160, bands=40).numpy()
    return np.asarray(dct(np.log10(np.maximum(mels, 1e-10)), norm="ortho")[:, :20])


def statistics(items: Sequence[Path]) -> np.ndarray:
    """Return mean and deviation over time of cepstral coefficients, standardised."""
    rows = [np.concatenate([c.mean(axis=0), c.std(axis=0)]) for c in map(cepstra, items)]
    made = np.stack(rows)
    return np.asarray((made - made.mean(axis=0)) / made.std(axis=0), dtype=np.float32)


def ten_parts(items: Sequence[Path]) -> np.ndarray:
    """Return the means of 12 cepstral coefficients, less their mean, over ten parts of the time."""
    rows = []
    for one in map(cepstra, items):
        bare = torch.from_numpy((one - one.mean(axis=0))[:, 1:13])[None]
        mask = torch.ones(1, bare.shape[1], dtype=torch.int64)
        rows.append(pool_frames(bare, mask, parts=10)[0].numpy())
    return np.stack(rows).astype(np.float32)


def nearest(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return whether the nearest of the known, by cosine, is the right one."""
    unit = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (asked, known)]
    return np.asarray((unit[0] @ unit[1].T).argmax(axis=1) == np.arange(len(known)))


def by_means(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return whether the package's prototypes, of one example each, are right."""
    labels = np.array([f"{i:03d}" for i in range(len(known))], dtype=object)
    made = strategies.make("prototypes", kind="classification", modality="audio", random_state=0)
    return np.asarray(made.fit(known, labels).predict(asked) == labels)


def interval(right: np.ndarray, groups: np.ndarray | None = None) -> list[float]:
    """Return the mean and its 95 % bootstrap interval, over items or over groups of them."""
    rng = np.random.default_rng(0)
    sums = right.astype(float)
    counts = np.ones(len(right))
    if groups is not None:
        inverse = np.unique(groups, return_inverse=True)[1]
        sums, counts = np.bincount(inverse, right), np.bincount(inverse).astype(float)
    picks = rng.integers(0, len(sums), (4000, len(sums)))
    means = sums[picks].sum(axis=1) / counts[picks].sum(axis=1)
    return [round(float(v), 4) for v in (right.mean(), *np.percentile(means, [2.5, 97.5]))]


def word_rows(
    folders: dict[str, Path], names: Sequence[str], step: int = 1, **changed: Any
) -> Iterator[Any]:
    """Yield what one example of each word is worth, for every source, block and parts."""
    listed, voices = words(folders)
    both = [*voices["Carlo"][::step], *voices["Menardi"][::step]]
    n = len(listed[::step])
    plain = ten_parts(both)
    made: list[tuple[str, str, int, np.ndarray, float]] = [("mfcc", "", 1, plain, 0.0)]
    for name in names:
        found, seconds = every_block(name, both, **changed)
        made += [(name, block, parts, one, seconds) for (block, parts), one in found.items()]
    for name, block, parts, one, seconds in made:
        row: dict[str, Any] = {"what": "words", "source": name, "block": block, "parts": parts}
        ways = ((one[:n], one[n:]), (one[n:], one[:n]))
        for head, judge in (("nearest", nearest), ("prototypes", by_means)):
            right = [judge(*way) for way in ways]
            row[head] = {
                "Carlo to Menardi": interval(right[0]),
                "Menardi to Carlo": interval(right[1]),
                "both": interval(np.mean(right, axis=0)),
            }
        yield {**row, "n": n, "seconds": round(seconds, 1), **changed}


def drum_rows(
    folders: dict[str, Path], names: Sequence[str], time_parts: Sequence[int]
) -> Iterator[Any]:
    """Yield how well drums of a kit that was left out are told, for every source and block."""
    paths, kinds, kits = drums(folders)
    made: list[tuple[str, str, int, np.ndarray]] = [("mfcc", "", 1, statistics(paths))]
    for name in names:
        found, _ = every_block(name, paths, time_parts)
        made += [(name, block, parts, one) for (block, parts), one in found.items()]
    for name, block, parts, one in made:
        right = np.zeros(len(kinds), dtype=bool)
        for kit in np.unique(kits):
            out = kits == kit
            probe = strategies.make(
                "probe", kind="classification", modality="audio", random_state=0
            )
            right[out] = probe.fit(one[~out], kinds[~out]).predict(one[out]) == kinds[out]
        yield {
            "what": "drums",
            "source": name,
            "block": block,
            "parts": parts,
            "accuracy": interval(right, kits),
            "n": len(kinds),
            "kits": len(np.unique(kits)),
        }


def padding_rows(folders: dict[str, Path]) -> Iterator[Any]:
    """Yield accuracy and seconds of every fourth word as it is, and padded to 30 s."""
    for silence in ([0.5, 0.5], [0.5, 30.0]):
        for row in word_rows(folders, ["whisper-base"], 4, silence=silence):
            if row["source"] != "mfcc":
                yield {**row, "what": "padding"}


def cell(found: Sequence[float]) -> str:
    """Return an estimate and its interval as text."""
    return "{:.3f} [{:.3f}, {:.3f}]".format(*found)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the results as Markdown."""
    runs = [row for row in rows if row["what"] == "run"]
    lines = ["# Sources for sounds", ""]
    lines += [f"`{row['command']}`" for row in {row["command"]: row for row in runs}.values()]
    lines += ["", f"Machine: {runs[-1]['machine']}", ""]
    some = [row for row in rows if row["what"] == "words"]
    lines += [f"## {some[0]['n']} Italian words, one example each, one voice to the other", ""]
    lines += ["Nearest neighbour by cosine; the last column is the package's `prototypes`.", ""]
    lines += [
        "| source | block | parts | Carlo to Menardi | Menardi to Carlo | both | means, both |"
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    for row in some:
        cells = [cell(row["nearest"][way]) for way in ("Carlo to Menardi", "Menardi to Carlo")]
        cells += [cell(row["nearest"]["both"]), cell(row["prototypes"]["both"])]
        name = f"| {row['source']} | {row['block']} | {row['parts']} |"
        lines.append(f"{name} {' | '.join(cells)} |")
    some = [row for row in rows if row["what"] == "drums"]
    title = f"## {some[0]['n']} drum hits of {some[0]['kits']} kits, each kit by the others"
    lines += ["", title, "", "| source | block | parts | accuracy |", "|---|---|---|---|"]
    for row in some:
        name = f"| {row['source']} | {row['block']} | {row['parts']} |"
        lines.append(f"{name} {cell(row['accuracy'])} |")
    some = [row for row in rows if row["what"] == "padding" and row["block"] == "norm"]
    lines += [
        "",
        "## The words padded to 30 s, as the model was trained, and with 1 s of silence",
        "",
    ]
    lines += ["| silence before, behind | parts | both ways | processor s, both voices |"]
    lines += ["|---|---|---|---|"]
    for row in some:
        before, behind = row["silence"]
        behind = "to 30 s" if behind == 30 else f"{behind:g} s"
        right = cell(row["nearest"]["both"])
        lines.append(f"| {before:g} s, {behind} | {row['parts']} | {right} | {row['seconds']} |")
    return "\n".join([*lines, ""])


def _short(word: str) -> str:
    return Path(word).name if Path(word).is_absolute() else word


def main() -> int:
    """Measure what is asked for; write a line a result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--debs", type=Path)
    parser.add_argument("--table", action="store_true", help="write audio.md of what is measured")
    parser.add_argument("--sources", nargs="*", default=list(SOURCES))
    parser.add_argument("--time-parts", type=int, nargs="*", default=list(PARTS), help="of drums")
    parser.add_argument("--parts", nargs="*", default=["words", "drums", "padding"])
    parser.add_argument("--out", type=Path, default=RESULTS / "audio.jsonl")
    given = parser.parse_args()
    if given.table:
        lines = given.out.read_text(encoding="utf-8").splitlines()
        text = table([json.loads(line) for line in lines])
        given.out.with_suffix(".md").write_text(text, encoding="utf-8")
        return 0
    torch.set_num_threads(1)
    folders = unpacked(given.debs)
    makers = {
        "words": lambda: word_rows(folders, given.sources),
        "drums": lambda: drum_rows(folders, given.sources, given.time_parts),
        "padding": lambda: padding_rows(folders),
    }
    with given.out.open("a", encoding="utf-8") as file:
        for part in given.parts:
            head = {
                "what": "run",
                "part": part,
                "command": " ".join(["python", *map(_short, sys.argv)]),
            }
            file.write(json.dumps({**head, "machine": machine()}) + "\n")
            for row in makers[part]():
                file.write(json.dumps(row) + "\n")
                file.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
