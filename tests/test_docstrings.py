"""The check of docstrings (`.ci/docstrings.py`): what it reports, and what it does not."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHECK = ROOT / ".ci" / "docstrings.py"


def complaints(folder: Path, code: str) -> list[str]:
    """Return what the check reports of a file: the function, "raises" and the error."""
    (folder / "module.py").write_text(textwrap.dedent(code))
    done = subprocess.run(
        [sys.executable, CHECK, folder], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False
    )
    assert done.stderr == ""
    assert done.returncode == bool(done.stdout)
    return [line.partition(": ")[2].partition(",")[0] for line in done.stdout.splitlines()]


SAID = {
    "named": """
        def f():
            '''Do. Raises ValueError where it cannot.'''
            raise ValueError("it cannot")
    """,
    "named by the class": """
        class C:
            '''Raises ValueError where it cannot be made.'''
            def __init__(self):
                raise ValueError
    """,
    "private": """
        def _f():
            raise ValueError
        class _C:
            def f(self):
                raise ValueError
        class C:
            def _f(self):
                raise ValueError
    """,
    "raised again": """
        def f():
            '''Do.'''
            try:
                g()
            except ValueError as error:
                raise
            except KeyError as error:
                raise error
    """,
    "caught, by its base": """
        class Wrong(ValueError): ...
        class Worse(Wrong): ...
        def f():
            '''Do.'''
            try:
                if g():
                    raise Worse("so")
                raise ValueError
            except (OSError, ValueError):
                return
    """,
    "a helper inside": """
        def f():
            '''Do.'''
            def g():
                raise ValueError
    """,
    "for a subclass": """
        class C:
            def f(self):
                '''What it is.'''
                raise NotImplementedError
    """,
}
UNSAID = {
    "not named": ("def f():\n    '''Do.'''\n    raise ValueError('x')", ["f raises ValueError"]),
    "no docstring": ("def f():\n    raise ValueError", ["f raises ValueError"]),
    "another word": ("def f():\n    '''ValueErrors'''\n    raise ValueError", ["f raises ValueError"]),
    "dotted": ("def f():\n    '''Do.'''\n    raise errors.Wrong('x')", ["f raises Wrong"]),
    "method": ("class C:\n    def f(self):\n        '''Do.'''\n        raise ValueError", ["C.f raises ValueError"]),
    "asynchronous": ("async def f():\n    '''Do.'''\n    raise ValueError", ["f raises ValueError"]),
    "made": (
        "class C:\n    '''It.'''\n    def __init__(self):\n        raise ValueError",
        ["C.__init__ raises ValueError"],
    ),
    "two": (
        "def f():\n    if g():\n        raise KeyError\n    raise ValueError",
        ["f raises KeyError", "f raises ValueError"],
    ),
    "in a handler": (
        "def f():\n    '''Do.'''\n    try:\n        g()\n    except ValueError:\n        raise ValueError from None",
        ["f raises ValueError"],
    ),
    "caught as another": (
        "def f():\n    '''Do.'''\n    try:\n        raise ValueError\n    except KeyError:\n        pass",
        ["f raises ValueError"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_nothing_to_complain_of(tmp_path: Path, name: str) -> None:
    assert complaints(tmp_path, SAID[name]) == []


@pytest.mark.parametrize("name", UNSAID)
def test_an_error_that_is_not_named(tmp_path: Path, name: str) -> None:
    code, expected = UNSAID[name]
    assert complaints(tmp_path, code) == expected


def test_a_folder_of_nothing_is_not_fine(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, CHECK, tmp_path / "none"], timeout=60, check=False).returncode == 1
