"""Types and the error tree: what every room knows. No I/O, no torch."""
