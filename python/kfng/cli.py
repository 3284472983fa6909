"""The `kfng` command: fit a model to a table, predict with it, and print a saved one."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import kfng

from ._cli import fit, inspect, predict
from ._cli.trouble import Trouble, one_line

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when all went well, 2 with one line on stderr when a file or the arguments are at fault."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # `kfng inspect ... | head`: nobody reads on, and nothing is wrong
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    except (kfng.KfngError, OSError, MemoryError, Trouble, UnicodeDecodeError) as error:
        return _refused(options, error)
    except Exception as error:
        if not type(error).__module__.startswith("polars"):  # what polars says of a file is the file's fault
            raise
        return _refused(options, error)
    return 0


def _refused(options: argparse.Namespace, error: BaseException) -> int:
    reason = one_line(error) if type(error).__module__.startswith("polars") else " ".join(str(error).split())
    print(f"kfng: {options.about(options)}: {reason or type(error).__name__}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kfng", description="Online parameter estimation with uncertainty.")
    parser.add_argument("--version", action="version", version=f"kfng {kfng.__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (fit, predict, inspect):
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
