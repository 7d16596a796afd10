"""One file, one family."""
