"""The command line `colonnade`: arguments in, exit codes out; one module a command, no logic here.

Exit codes: 0 done; 1 the input, the data or the database is at fault, said in one message; 2 wrong
arguments (argparse); 130 interrupted.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from colonnade.store.errors import Error

_COLLECT_EACH = 20_000  # objects: with Python's 700 a load spends 1% of its time on looking for garbage
COMMANDS = ("load", "tpch", "check", "stats", "shell")


def build_parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The parser of these commands; also read by the tests of the documentation."""
    parser = argparse.ArgumentParser(
        prog="colonnade", description="Load, check and look into Colonnade databases."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in names:
        import_module(f"colonnade.cli.{name}").add_parser(commands)
    return parser


def run_program() -> NoReturn:
    """The console script: `main` in a process of its own."""
    sys.meta_path.insert(0, _NoPandas())
    # numpy's threads for linear algebra would wait busily for work that never comes.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.disable()  # while modules are made, nothing of which is garbage
    _choose_allocator()
    args = _parsed(sys.argv[1:])
    gc.freeze()  # modules stay: nobody needs to look through them again
    gc.set_threshold(_COLLECT_EACH)
    gc.enable()
    code = _run(args)
    gc.freeze()  # or Python would look for garbage among all that it is about to drop
    sys.exit(code)


def _choose_allocator() -> None:
    """jemalloc gives a load's pieces back sooner than Arrow's default: 235 MB instead of 317 at TPC-H scale 1.

    Of its arenas, which keep what was freed for a while, two in place of four for each processor: 13 MB less.
    """
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "narenas:2")
    import pyarrow as pa  # after the environment that it and numpy read

    from colonnade.store.memory import pool

    pa.set_memory_pool(pool())


class _NoPandas:
    """pyarrow imports pandas where it is installed, for 0.4 s and some 40 MB that no command needs."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is not used by the command line", name=name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    return _run(_parsed(sys.argv[1:] if arguments is None else arguments))


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    # A command is imported only if it is the one to run: a third of a second for all of them.
    named = [name for name in COMMANDS if name in arguments[:1]]
    return build_parser(named or COMMANDS).parse_args(arguments)


def _run(args: argparse.Namespace) -> int:
    try:
        code: int = args.run(args)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except (Error, OSError) as error:
        print(f"colonnade: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("colonnade: interrupted; nothing was committed", file=sys.stderr)
        return 130
    return code
