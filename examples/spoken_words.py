"""Which word was said, by another voice, from one recording of each word?

Whisper never learned these classes; what its encoder hears in a recording, kept apart in three
parts of the time, tells words apart all the same. Nothing is trained: a word is the mean of its
recordings, so a new word is taken in by one more recording (``enrol``).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import headstart as hs

SOURCE = "whisper-base@norm:3"
ENDINGS = (".wav", ".flac", ".ogg", ".mp3")


def words(folder: str) -> dict[str, Path]:
    """Return the recordings of a folder by the word that their name is."""
    found = sorted(one for one in Path(folder).iterdir() if one.suffix.lower() in ENDINGS)
    return {one.stem: one for one in found}


def main(one: str, other: str, *, source: str = SOURCE) -> None:
    """Learn each word from one voice, and judge on the other.

    Parameters
    ----------
    one, other : str
        Folders of recordings, a file a word, of the same names.
    source : str
        A pretrained source of sounds, or a part of one.
    """
    first, second = words(one), words(other)
    shared = sorted(first.keys() & second.keys())
    late, known = shared[-1], shared[:-1]
    test = ([str(second[word]) for word in known], known)
    result = hs.fit(
        [str(first[word]) for word in known],
        label=known,
        test=test,
        modality="audio",
        source=source,
        strategy=["scratch", "prototypes"],
        curve=False,
    )
    print(f"{len(known)} words, one recording of each; chance is {1 / len(known):.3f}")
    print(result.gain)
    for sentence in result.sentences():
        print(sentence)
    model = result.model.enrol(late, [str(first[late])])
    said = model.predict([str(second[word]) for word in shared])
    print(f"with {late!r} taken in: {np.mean(said == np.array(shared)):.3f} right", end="; ")
    print(f"{late!r} itself is heard as {said[-1]!r}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("one", help="recordings of one voice, a file a word")
    parser.add_argument("other", help="recordings of another voice, of the same names")
    parser.add_argument("--source", default=SOURCE, help=f"a source of sounds ({SOURCE})")
    main(**vars(parser.parse_args()))
