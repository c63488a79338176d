"""``headstart --help`` answers at once, and says what the verbs say."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "sklearn", "transformers", "pandas", "numpy", "scipy", "typer", "rich")


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("arguments", [["--help"], [], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    code = f"import sys; sys.argv[1:] = {arguments!r}\nfrom headstart.__main__ import main; main()"
    assert not modules_after(code) & set(HEAVY)


def test_importing_headstart_is_light():
    assert not modules_after("import headstart") & set(HEAVY)


def test_a_verbs_help_imports_no_training_library():
    code = (
        "from headstart.cli.app import build\n"
        "try: build()(args=['fit', '--help'], prog_name='headstart')\n"
        "except SystemExit: pass"
    )
    assert not modules_after(code) & {"torch", "sklearn", "transformers", "pandas"}


def test_help_names_every_verb():
    from headstart.cli.app import COMMANDS
    from headstart.cli.verbs import VERBS, help_text

    assert set(COMMANDS) == set(VERBS)
    for name in VERBS:
        assert f"  {name}" in help_text()
