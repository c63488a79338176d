"""What a bundle can do beyond predicting: take in classes, compare pairs, be saved again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.bundle.enrol import FALSE_ACCEPT
from headstart.core.types import AnyArray, FloatArray

if TYPE_CHECKING:
    from headstart.bundle.model import Bundle


class Growing:
    """The part of a bundle that enrols, compares and saves."""

    def enrol(self: Any, name: str, items: Any) -> Bundle:
        """Return a model that also knows a new class, from one example or a few; no training.

        A new class is the mean of its examples' features. Distances to the means of all classes
        give it its probability, and the old classes share the rest as before. This model stays
        as it is. A blend goes on as its transferring member alone.

        Parameters
        ----------
        name : str
            A class that the model does not know yet.
        items : sequence of length n >= 1
            Its examples, as for ``predict``.

        Returns
        -------
        Bundle
            It predicts, saves (``save``) and enrols like any other.

        Raises
        ------
        OptionError
            The class is known; or the model uses no source, predicts values, or was saved without
            the means of its classes.
        DataError
            There is no example, or one cannot be read.
        """
        from headstart.bundle.enrol import enrolled

        return enrolled(self, name, items)

    def save(self: Any, path: str | Path, *, overwrite: bool = False) -> Path:
        """Save the model as a directory, as ``headstart.bundle.save``.

        Parameters
        ----------
        path : str or Path
        overwrite : bool
            Replace a model that is there.

        Returns
        -------
        Path
            The directory, links resolved.

        Raises
        ------
        OptionError
            Something is there that may not be replaced.
        BundleError, SourceError
            Writing failed, or the source is not here any more.
        """
        from headstart.bundle.enrol import contents_of
        from headstart.bundle.store import check_target
        from headstart.bundle.write import save

        check_target(path, overwrite=overwrite)
        return save(path, contents_of(self), overwrite=overwrite)

    def similarity(self: Any, a: Any, b: Any) -> FloatArray:
        """Return how alike two items are: the cosine of their features about the classes' centre.

        Parameters
        ----------
        a, b : sequence of length n
            Items, as for ``predict``; the first of ``a`` is compared with the first of ``b``.

        Returns
        -------
        ndarray of shape (n,)
            -1 to 1. Of models without class means the features are not centred.

        Raises
        ------
        OptionError
            The model uses no source.
        DataError
            Not as many items on both sides, or one cannot be read.
        """
        from headstart.bundle.enrol import similarity

        return similarity(self, a, b)

    def verify(self: Any, a: Any, b: Any, *, false_accept: float = FALSE_ACCEPT) -> AnyArray:
        """Say which pairs of items are of the same class, also of classes never seen.

        Parameters
        ----------
        a, b
            As for ``similarity``.
        false_accept : float
            The share of pairs of two classes that may be taken for one, above 0 and at most 0.5.
            The threshold for it comes from pairs of training items, each class compared about the
            centre of the others; it holds for pairs like those. ``info["verification"]`` says
            what it is and how many pairs of one class it rejects.

        Returns
        -------
        ndarray of shape (n,), bool

        Raises
        ------
        OptionError
            No threshold is known: a single class, too few pairs for so low a rate, a model
            without class means.
        DataError
            As for ``similarity``.
        """
        from headstart.bundle.enrol import verified

        return verified(self, a, b, false_accept)
