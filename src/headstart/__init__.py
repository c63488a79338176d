"""Transfer learning that proves it helped."""
