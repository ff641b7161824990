"""The test vectors of the sealing formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "data" / "vectors"


def vectors(name: str) -> list[Any]:
    """Return the cases of one file as pytest parameters named by number and fault."""
    import pytest

    document = json.loads((FOLDER / f"{name}.json").read_text())
    assert document["format"] in (1, 2)
    return [
        pytest.param(case, id=f"{number}-{case.get('fault') or 'valid'}")
        for number, case in enumerate(document["cases"])
    ]
