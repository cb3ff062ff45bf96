"""The interpreters whose test.test_sqlite3 is run: this one, and others of the machine in environments of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / "build" / "conformance"
VERSIONS = ("3.11", "3.12", "3.13")
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"


class Unavailable(Exception):
    """An interpreter cannot be used here, and why."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An interpreter that can import Colonnade.

    executable  its path
    version     such as "3.12"
    """

    executable: str
    version: str


def find(version: str) -> Interpreter:
    """The interpreter of a version, with Colonnade; raises Unavailable."""
    if version == RUNNING:
        return Interpreter(sys.executable, version)
    return Interpreter(str(_environment(version, _installed(version))), version)


def _installed(version: str) -> str:
    """A python of the version: on the PATH, or of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    candidates = [
        shutil.which(f"python{version}"),
        *sorted(map(str, pyenv.glob(f"{version}.*/bin/python{version}"))),
    ]
    for candidate in filter(None, candidates):
        probe = subprocess.run(
            [candidate, "-c", "import sys, venv, ensurepip; print(*sys.version_info[:2], sep='.')"],
            capture_output=True,
            text=True,
            check=False,
        )
        if probe.stdout.strip() == version:  # a shim of pyenv may stand for nothing
            return candidate
    raise Unavailable(f"there is no Python {version} on this machine")


def _environment(version: str, python: str) -> Path:
    """The python of an environment with Colonnade, made anew when its requirements changed."""
    home = ENVIRONMENTS / version
    made = home / "bin" / "python"
    stamp = home / "installed"
    requirements = (ROOT / "pyproject.toml").read_text()
    if stamp.is_file() and stamp.read_text() == requirements:
        return made
    commands = (
        [python, "-m", "venv", "--clear", str(home)],
        [str(made), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-e", str(ROOT)],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"no environment for Python {version}: {done.stderr.strip()[-300:]}")
    stamp.write_text(requirements)
    return made


def modules() -> list[str]:
    """The modules of test.test_sqlite3 in the running interpreter's standard library."""
    folder = Path(sysconfig.get_path("stdlib"), "test", "test_sqlite3")
    return sorted(path.stem for path in folder.glob("test_*.py"))
