"""Lets these tests import what stands beside them and above (tests are no package: laion-clap installs one)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.extend([str(Path(__file__).parents[1]), str(Path(__file__).parent)])
