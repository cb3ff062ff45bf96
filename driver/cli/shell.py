"""`colonnade shell`: SQL and dot commands from the terminal, from arguments or from a script."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from colonnade.errors import translate
from colonnade.script import ScriptError


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "shell",
        help="SQL and dot commands: at a prompt, or from a script",
        description=(
            "Run SQL statements and dot commands (.help lists them) from the arguments, or else from standard "
            "input: at a prompt if that is a terminal, or as a script, which ends at its first error."
        ),
    )
    parser.add_argument(
        "database", metavar="DB", nargs="?", default="", help="database file; in memory if missing"
    )
    parser.add_argument(
        "commands", metavar="COMMAND", nargs="*", help="SQL, or a dot command such as .tables"
    )
    parser.add_argument(
        "--mode", metavar="MODE", help="how rows are shown: list, box, csv, json, insert, ..."
    )
    parser.add_argument("--header", action="store_true", help="show the names of columns")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from colonnade.cli.prompt import Prompt  # apsw's shell takes a while to import

    shell = Prompt(args.database)
    try:
        if args.mode:
            shell.process_command(f".mode {args.mode}")
        shell.header = shell.header or args.header
        if args.commands:
            for number, command in enumerate(args.commands, 1):
                shell.run_script(iter((command,)), f"command {number}")
        elif shell.interactive:
            shell.cmdloop()
        else:
            shell.run_stream(sys.stdin.buffer, None)
    except ScriptError as failed:
        sys.stdout.flush()
        print(failed, file=sys.stderr)
        return 1
    except SystemExit as leave:  # .exit
        return int(leave.code or 0)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nothing is left to say at exit
        return 1
    except shell.Error as error:
        print(f"colonnade: error: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        raise translate(error) from None
    finally:
        shell.close()
    return 0
