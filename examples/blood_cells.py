"""Which blood cell is on a photo, on slides never seen?

Cells of one slide look alike (stain, light, microscope), so slides stay together: ``group`` is a
regular expression that finds the slide in each file's name. What a class needs is told by its
recall, not by the accuracy of all.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import headstart as hs

SLIDE = r"BloodImage_(\d+)"
ENDINGS = (".jpg", ".jpeg", ".png")


def main(
    data: str,
    *,
    shots: int = 10,
    slide: str = SLIDE,
    budget: str = "2m",
    source: str | None = None,
) -> None:
    """Fit on ``shots`` cells of each kind; the cells of other slides judge.

    Parameters
    ----------
    data : str
        A folder of folders of photos.
    shots : int
        Labels a class to learn from.
    slide : str
        Finds the slide in a file's path.
    budget : str
        Time for all of it.
    source : str, optional
        A pretrained source; the default otherwise.
    """
    result = hs.fit(data, group=slide, shots=shots, budget=budget, source=source)
    print(result.gain)
    for sentence in (*result.sentences(), *result.curve_sentences()):
        print(sentence)
    learnt = {str(path) for path in result.task.items}
    print("recall of each kind, on photos it has not learnt from:")
    for folder in sorted(path for path in Path(data).iterdir() if path.is_dir()):
        photos = [str(one) for one in sorted(folder.iterdir()) if one.suffix.lower() in ENDINGS]
        fresh = [one for one in photos if one not in learnt]
        said = result.predict(fresh)
        print(f"  {folder.name}: {np.mean(said == folder.name):.3f} of {len(fresh)}")
    for suspect in result.suspects[:3]:
        print(f"look at {suspect.id}: labelled {suspect.given}, looks like {suspect.suggested}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="a folder of folders of photos")
    parser.add_argument("--shots", type=int, default=10, help="labels a class (10)")
    parser.add_argument("--slide", default=SLIDE, help=f"finds the slide in a path ({SLIDE})")
    parser.add_argument("--budget", default="2m", help="time for all of it (2m)")
    parser.add_argument("--source", help="a pretrained source")
    main(**vars(parser.parse_args()))
