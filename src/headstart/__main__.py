"""The entry point: answers ``--help`` and ``--version`` at once, and loads the rest when needed."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; exits with 0 on success and 2 on bad input."""
    arguments = sys.argv[1:]
    if not arguments or arguments in (["--help"], ["-h"], ["help"]):
        from headstart.cli.verbs import help_text

        sys.stdout.write(help_text())
        return
    if arguments in (["--version"], ["-V"]):
        from headstart._version import __version__

        sys.stdout.write(f"headstart {__version__}\n")
        return
    from headstart.cli.app import run

    run(arguments)


if __name__ == "__main__":
    main()
