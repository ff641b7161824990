"""`python -m tui` is `mailhold`."""

from __future__ import annotations

import sys

from tui.commands.cli import main

sys.exit(main())
