"""A Python and a `mailhold` that every user of this machine can run: those of the tests may be in root's home."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.readme import ROOT

_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env")
#: The console and the gateway start children in this way.
_RUNS = "import os, subprocess, sys; os.chdir({0!r}); sys.exit(subprocess.call([sys.executable, '-c', 'import json']))"
_PROGRAM = "#!{}\nimport sys\n\nfrom tui.commands.cli import main\n\nsys.exit(main())\n"


def runs(python: str) -> bool:
    """Return True if an unprivileged user can run it with the checkout and let it start itself."""
    line = [*_NOBODY, python, "-c", _RUNS.format(str(ROOT))]
    return not subprocess.run(line, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, timeout=60).returncode


def base() -> str:
    """Return a Python of the tests' own minor release that every user can run, or ""."""
    minor = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return next((each for each in (sys.executable, f"/usr/bin/{minor}", f"/usr/local/bin/{minor}") if runs(each)), "")


def environment(folder: Path) -> Path:
    """Make an environment in `folder` with the tests' libraries and this checkout; return its `bin` folder."""
    subprocess.run([base(), "-m", "venv", "--without-pip", folder], check=True, timeout=120)
    [packages] = folder.glob("lib/python3*/site-packages")
    libraries = sysconfig.get_paths()["purelib"]
    (packages / "tests.pth").write_text(f"{libraries}\n{ROOT}\n")
    program = folder / "bin" / "mailhold"
    program.write_text(_PROGRAM.format(folder / "bin/python"))
    program.chmod(0o755)
    return folder / "bin"
