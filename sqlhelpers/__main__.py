"""``python -m sqlhelpers`` is the command line."""

from sqlhelpers.cli import main

if __name__ == "__main__":
    main()
