"""Every example in a docstring of what adapts runs, and prints what it says."""

import doctest
import importlib
import importlib.util
import pkgutil

import pytest

from headstart import evaluate, select
from headstart.strategies import adaptation, heterogeneous, source_free

NEEDS_POT = {"deep_closed", "losses", "plan"}


def modules():
    for room in (adaptation, source_free, heterogeneous):
        yield room.__name__
        for found in pkgutil.iter_modules(room.__path__):
            yield f"{room.__name__}.{found.name}"
    for room, starts in ((evaluate, ("shift",)), (select, ("circular", "adapting"))):
        for found in pkgutil.iter_modules(room.__path__):
            if found.name.startswith(starts):
                yield f"{room.__name__}.{found.name}"


@pytest.mark.parametrize("name", sorted(modules()))
def test_examples_print_what_they_say(name):
    """Examples that need installed weights say +SKIP themselves."""
    if name.rpartition(".")[2] in NEEDS_POT and importlib.util.find_spec("ot") is None:
        pytest.skip("POT is missing")
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0


def test_the_examples_are_found():
    names = list(modules())
    assert len(names) > 60
    tried = sum(
        len(test.examples)
        for name in names
        for test in doctest.DocTestFinder().find(importlib.import_module(name))
    )
    assert tried > 150
