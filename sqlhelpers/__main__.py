"""``python -m sqlhelpers`` is the command line."""

from sqlhelpers.cli import main

main()
