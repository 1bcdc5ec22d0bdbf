"""Lets these tests import `fabricated_dataset` (tests are no package: laion-clap installs one of that name)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
