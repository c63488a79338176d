"""Is a review good or bad, from a few dozen labels?

Films stay together (``group``): a model that has seen other reviews of the same film would look
better than it is.
"""

from __future__ import annotations

import argparse

import headstart as hs

FRESH = ("A warm, funny and beautifully acted film.", "Clumsy, boring and far too long.")


def main(reviews: str, *, shots: int = 16, budget: str = "2m", model: str | None = None) -> None:
    """Fit on ``shots`` reviews a class; the others judge.

    Parameters
    ----------
    reviews : str
        A table with the columns text, label and movie.
    shots : int
        Labels a class to learn from.
    budget : str
        Time for all of it.
    model : str, optional
        Where to save the model.
    """
    result = hs.fit(reviews, label="label", text="text", group="movie", shots=shots, budget=budget)
    print(result.gain)
    for sentence in (*result.sentences(), *result.curve_sentences()):
        print(sentence)
    for text, label in zip(FRESH, result.predict(list(FRESH)), strict=True):
        print(f"{label}: {text}")
    if model is not None:
        print(f"saved: {result.save(model, overwrite=True)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reviews", help="a table with the columns text, label and movie")
    parser.add_argument("--shots", type=int, default=16, help="labels a class (16)")
    parser.add_argument("--budget", default="2m", help="time for all of it (2m)")
    parser.add_argument("--model", help="where to save the model")
    main(**vars(parser.parse_args()))
