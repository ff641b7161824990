"""What `.ci/run` runs besides make."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.test_hygiene import ROOT


def test_a_failed_test_of_a_group_is_found_again_in_one_process(tmp_path: Path) -> None:
    """Without the script, pytest finds no test of that name and runs all of them."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_two.py").write_text(
        "import pytest\n"
        '@pytest.mark.xdist_group("wheel")\n'
        '@pytest.mark.parametrize("at", ["x@y", "the newest"])\n'
        "def test_fails(at): assert at == 'x@y'\n"
        "def test_passes(): pass\n"
    )

    def pytest_says(*words: str) -> str:
        line = [sys.executable, "-m", "pytest", "-q", *words]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=120).stdout

    assert "1 failed, 2 passed" in pytest_says("-n", "2", "--dist", "loadgroup")
    record = tmp_path / ".pytest_cache/v/cache/lastfailed"
    subprocess.run([sys.executable, ROOT / ".ci/failed.py", record], check=True)
    assert json.loads(record.read_text()) == {"test_two.py::test_fails[the newest]": True}
    told = pytest_says("-n", "0", "--last-failed", "--last-failed-no-failures", "none")
    assert "1 failed" in told and "passed" not in told
    subprocess.run([sys.executable, ROOT / ".ci/failed.py", tmp_path / "none"], check=True)
