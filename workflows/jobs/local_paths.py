"""Paths of this machine in a job that runs on others: they are made absolute, and they are told of.

Whether the other machines see them cannot be known from here. `soundquarry run` asks the nodes, once it is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

PLACES: Final = ("sources", "list_csv", "root", "unseen", "out")
"""Options that name places of data."""


def with_absolute_paths(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, each path of this machine written from its root on."""
    named = {name: _each(options[name], _absolute) for name in PLACES if name in options}
    if _is_checkpoint(options.get("model", "")):
        named["model"] = _absolute(options["model"])
    return {**options, **named}


def words_about_paths(options: Mapping[str, Any]) -> list[str]:
    """A sentence for every option that names a path of this machine."""
    model = ("model",) if _is_checkpoint(options.get("model", "")) else ()
    said = []
    for name in (*PLACES, *model):
        value = options.get(name, [])
        local = [uri for uri in (value if isinstance(value, list) else [value]) if is_path(uri)]
        if local:
            more = f" and {len(local) - 1} more" if len(local) > 1 else ""
            must = "can write" if name == "out" else "sees"
            said.append(
                f"{name}: {local[0]}{more} is a path of this machine, not sent along: right only where every node of "
                f"the cluster {must} it under this name; else give a URL such as s3://bucket/{name}"
            )
    return said


def is_path(uri: str) -> bool:
    """Whether a place, or the archive around it, is named by a path.

    >>> is_path("talks/a.mp4"), is_path("zip://a.wav::/archive.zip"), is_path("s3://bucket/a.wav")
    (True, True, False)
    """
    around = uri.rpartition("::")[2] if "://" in uri else uri
    return "://" not in around or around.startswith(("file://", "local://"))


def _is_checkpoint(model: str) -> bool:
    return is_path(model) and Path(model).expanduser().is_file()


def _absolute(uri: str) -> str:
    return uri if "://" in uri else str(Path(uri).expanduser().absolute())


def _each(value: Any, change: Any) -> Any:
    return [change(entry) for entry in value] if isinstance(value, list) else change(value)
