"""The version, read by the build and by `headstart --version`."""

__version__ = "0.1.0"
