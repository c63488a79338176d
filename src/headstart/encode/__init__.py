"""The encode room."""
