"""Fail on every skipped test of a JUnit report that is not in a list of allowed ones.

Usage: skips.py REPORT.xml ALLOWED. ALLOWED has one test per line, such as `tests.store.test_x::test_y`; `#` starts a
comment.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def main(report: Path, allowed_list: Path) -> int:
    """Print each skipped test with its reason; return 1 if one is not allowed."""
    lines = (line.partition("#")[0].strip() for line in allowed_list.read_text().splitlines())
    allowed = {line for line in lines if line}
    cases = ElementTree.parse(report).getroot().iter("testcase")
    skipped = [(f"{case.get('classname')}::{case.get('name')}", case.find("skipped")) for case in cases]
    forbidden = 0
    for name, element in skipped:
        if element is None:
            continue
        is_allowed = name in allowed or name.partition("[")[0] in allowed
        forbidden += not is_allowed
        print(f"{'allowed' if is_allowed else 'NOT ALLOWED'}: {name}: {element.get('message')}")
    return 1 if forbidden else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
