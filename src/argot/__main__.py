"""`python -m argot` is the command `argot`."""

from .cli import main

main()
