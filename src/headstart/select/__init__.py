"""The select room."""
