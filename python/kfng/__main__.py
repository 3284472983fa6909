"""`python -m kfng`: the command line, where the script `kfng` is not on the path."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
