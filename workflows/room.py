"""Room to work in, as the machine or the container leaves it: scratch that can be written, disk, memory, shared memory.

It may change while a container lives; a run that finds too little of it is slow, or ends.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from operators.media.scratch_cache import default_scratch
from workflows.checkup import Check, State, size_text
from workflows.container_limits import free_memory_bytes, usable_cores

MIN_DISK_BYTES: Final = 1 << 30
GOOD_DISK_BYTES: Final = 5 << 30
GOOD_SHARED_MEMORY_BYTES: Final = 1 << 30  # a few decoded units of at most 230 MB
GOOD_MEMORY_BYTES: Final = 4 << 30
TRIAL_BYTES: Final = 1 << 16  # more than one page, so that a full file system says so
MOUNT: Final = (
    "mount a folder that this user may write to (an emptyDir in Kubernetes, `--tmpfs /tmp` of docker), or point "
    "SOUNDQUARRY_SCRATCH and TMPDIR to one"
)


def check_scratch() -> Check:
    """Sources are fetched to one folder and Ray works in another: both must take a file, also on a read-only root."""
    folders, refused = _working_folders(), {}
    for folder in folders:
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(bytes(TRIAL_BYTES))
        except OSError as error:
            refused[folder] = error.strerror
    if refused:
        found = ", ".join(f"{folder} takes no file ({why})" for folder, why in refused.items())
        return Check("scratch", "problem", found, MOUNT)
    return Check("scratch", "ok", ", ".join(f"{folder} can be written" for folder in folders))


def check_disk() -> Check:
    """Room in the folders that a run works in, and in the current one where it can be written."""
    here = [Path.cwd()] if os.access(Path.cwd(), os.W_OK) else []
    rooms = {folder: shutil.disk_usage(folder).free for folder in dict.fromkeys([*here, *_working_folders()])}
    found = ", ".join(f"{size_text(free)} free in {folder}" for folder, free in rooms.items())
    state: State = "ok" if min(rooms.values()) >= GOOD_DISK_BYTES else "warning"
    if min(rooms.values()) < MIN_DISK_BYTES:
        state = "problem"
    step = "" if state == "ok" else f"make room, or point TMPDIR elsewhere; {size_text(GOOD_DISK_BYTES)} is comfortable"
    return Check("disk", state, found, step)


def check_memory() -> Check:
    """Memory that is free now, below the container's limit where there is one."""
    free = free_memory_bytes()
    step = ""
    if free < GOOD_MEMORY_BYTES:
        step = f"close something, or give the container more: a run takes up to {size_text(GOOD_MEMORY_BYTES)}"
    return Check("memory", "warning" if step else "ok", f"{size_text(free)} free, {usable_cores():g} cores", step)


def check_shared_memory() -> Check:
    """/dev/shm, where Ray keeps decoded audio on Linux; containers give it 64 MB by default."""
    if sys.platform != "linux":
        return Check("shared memory", "ok", "not limited on this system")
    if not os.path.isdir("/dev/shm"):
        return Check("shared memory", "warning", "no /dev/shm", "Ray falls back to the disk: mount a tmpfs at /dev/shm")
    size = shutil.disk_usage("/dev/shm").total
    if size < GOOD_SHARED_MEMORY_BYTES:
        step = (
            "Ray falls back to the disk and gets slow: start the container with `--shm-size=2g`; in Kubernetes, mount "
            "an emptyDir of medium Memory at /dev/shm"
        )
        return Check("shared memory", "warning", f"/dev/shm has {size_text(size)}", step)
    return Check("shared memory", "ok", f"/dev/shm has {size_text(size)}")


def _working_folders() -> list[Path]:
    """Where sources are fetched to and where Ray works; of a folder that is yet to be made, the one it will be in."""
    ray = Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp") / "ray"  # as Ray itself chooses
    places = [default_scratch(), ray] if os.environ.get("SOUNDQUARRY_SCRATCH") else [ray.parent, ray]
    existing = [next(folder for folder in (place, *place.parents) if folder.exists()) for place in places]
    return list(dict.fromkeys(existing))
