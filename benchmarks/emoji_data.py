"""Emoji as classes: every picture that eight sets of emoji drew of the same sign.

The sets are npm packages of MIT licence whose pictures belong to their vendors; they are fetched
by npm into a folder of yours and are no part of headstart.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

SETS = (
    ("google-16", "emoji-datasource-google", "16.0.0", "google"),
    ("twitter-16", "emoji-datasource-twitter", "16.0.0", "twitter"),
    ("apple-16", "emoji-datasource-apple", "16.0.0", "apple"),
    ("facebook-16", "emoji-datasource-facebook", "16.0.0", "facebook"),
    ("google-3", "emoji-datasource-google", "3.0.0", "google"),
    ("facebook-4", "emoji-datasource-facebook", "4.0.3", "facebook"),
    ("messenger-4", "emoji-datasource-messenger", "4.1.0", "messenger"),
    ("emojione-4", "emoji-datasource-emojione", "4.0.4", "emojione"),
)
FEWEST = 6  # pictures of a class: five shots and a question


def fetch(folder: Path) -> None:
    """Fetch the packages that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for _, package, version, _ in SETS:
        if not (folder / f"{package}-{version}.tgz").exists():
            subprocess.run(
                ["npm", "pack", "--silent", f"{package}@{version}"], cwd=folder, check=True
            )


def make(packages: Path, out: Path) -> Path:
    """Write a folder a sign with a picture a set; signs of fewer than six sets are left out."""
    if out.exists():
        return out
    found: dict[str, dict[str, bytes]] = {}
    for tag, package, version, vendor in SETS:
        with tarfile.open(packages / f"{package}-{version}.tgz") as archive:
            listing = archive.extractfile("package/emoji.json")
            assert listing is not None
            signs = {one["image"]: one["unified"] for one in json.load(listing)}
            for member in archive.getmembers():
                folder, _, name = member.name.rpartition("/")
                if folder != f"package/img/{vendor}/64" or name not in signs:
                    continue
                file = archive.extractfile(member)
                assert file is not None
                sign = signs[name].lower().replace("-fe0f", "")
                found.setdefault(sign, {})[tag] = file.read()
    for sign, pictures in sorted(found.items()):
        if len(pictures) >= FEWEST:
            (out / sign).mkdir(parents=True)
            for tag, picture in pictures.items():
                (out / sign / f"{tag}.png").write_bytes(picture)
    return out
