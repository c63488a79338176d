"""A saved model as a directory that runs without torch: ``headstart export``."""
