"""The command as somebody gives it who is known to an API server by a token."""

from __future__ import annotations

import os
import subprocess
import sys

from control_plane import ControlPlane
from tiny_kubelet import ROOT

Said = subprocess.CompletedProcess[str]


def soundquarry(plane: ControlPlane, namespace: str, *arguments: str, token: str | None = None) -> Said:
    """What it says to the holder of the token; to the administrator where there is none."""
    config = plane.kubeconfig("user", token or plane.tokens["admin"], namespace)
    command = [sys.executable, "-m", "workflows.cli", *arguments, "--kubernetes", "--namespace", namespace]
    known = os.environ | {"KUBECONFIG": str(config), "COLUMNS": "300", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=ROOT, env=known, capture_output=True, text=True, timeout=120)
