"""The systemd unit, read by systemd itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import store

pytestmark = pytest.mark.integration

UNIT = Path(store.__file__).parent / "gateway" / "mailhold-gateway.service"


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


def test_systemd_takes_the_unit_and_finds_little_exposed(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (apt-get install systemd)")
    # Only the program's place is another.
    unit = tmp_path / UNIT.name
    unit.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text()))
    verified = analyze("verify", "--man=no", str(unit))
    assert (verified.returncode, verified.stderr) == (0, "")
    exposure = re.search(
        r"Overall exposure level for \S+: ([\d.]+)", analyze("security", "--offline=1", str(unit)).stdout
    )
    assert exposure is not None
    assert float(exposure[1]) < 2.0
