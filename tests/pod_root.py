"""A pod's view of the file system, for a process of this machine: all as it is here, the pod's volumes at their places.

A private mount namespace does it, so that `/etc/soundquarry` or the token below `/var/run/secrets` are found where a
program looks for them in a cluster, and nothing of it is seen outside.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

import pytest

HOST: Final = ".host"
"""Where the machine's own root lies in the pod's."""


def need_mounts() -> None:
    """Skips the test, loudly, where a mount namespace cannot be made."""
    if (
        shutil.which("unshare") is None
        or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode
    ):
        pytest.skip("needs the right to make a mount namespace (root, and unshare of util-linux)")


def in_root(root: Path, volumes: Mapping[PurePosixPath, Path], command: Sequence[str], workdir: str) -> list[str]:
    """The command line that runs `command` with each volume at its path. `root` is an empty folder."""
    lines = [
        "set -e",
        f"mount -t tmpfs pod {_quoted(root)}",
        f"mkdir {_quoted(root / HOST)}",
        f"mount --rbind / {_quoted(root / HOST)}",
        *_links(root, PurePosixPath("/"), sorted(volumes)),
    ]
    for path in sorted(volumes):  # an outer volume before one inside it
        place = _quoted(root / path.relative_to("/"))
        kind = "touch" if volumes[path].is_file() else "mkdir -p"
        lines += [f"{kind} {place}", f"mount --bind {_quoted(volumes[path])} {place}"]
    inner = f"cd {shlex.quote(workdir)} && exec {shlex.join(command)}"
    lines.append(f"exec chroot {_quoted(root)} /bin/sh -c {shlex.quote(inner)}")
    return ["unshare", "--mount", "/bin/sh", "-c", "\n".join(lines)]


def _links(root: Path, folder: PurePosixPath, volumes: Sequence[PurePosixPath]) -> list[str]:
    """Links to all that the machine has in `folder`, and folders of such links on the way to a volume."""
    ways = {path.relative_to(folder).parts[0] for path in volumes if path.is_relative_to(folder) and path != folder}
    names = {entry.name for entry in Path(folder).iterdir()} if Path(folder).is_dir() else set()
    below = folder.relative_to("/")
    place, host = root / below, PurePosixPath("/", HOST) / below
    targets = [_quoted(host / name) for name in sorted(names - ways)]
    lines = [f"ln -s -t {_quoted(place)} {' '.join(targets)}"] if targets else []
    for name in sorted(ways):
        if folder / name not in volumes:
            lines += [f"mkdir {_quoted(place / name)}", *_links(root, folder / name, volumes)]
    return lines


def _quoted(path: Path | PurePosixPath) -> str:
    return shlex.quote(str(path))
