"""Private set intersection: which rows two owners have in common. One protocol a file."""
