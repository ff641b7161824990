"""Prepare pytest's record of failed tests for `--last-failed` in one process.

Where tests run side by side, pytest-xdist appends `@group` to the names of grouped tests. In one process these names
match no test, and pytest then runs all.
"""

import json
import re
import sys
from pathlib import Path


def main(path: Path) -> None:
    """Take the groups off the names in pytest's record at `path`, if there is one."""
    if path.exists():
        failed = json.loads(path.read_text())
        path.write_text(json.dumps({re.sub(r"@[^\]]*$", "", name): value for name, value in failed.items()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
