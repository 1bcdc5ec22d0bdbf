"""Paths of this machine in a job that runs on others: they are made absolute, and they are told of.

Whether the other machines see them cannot be known from here. `soundquarry run` asks the nodes, once it is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

PLACES: Final = (
    *("sources", "list_csv", "root", "unseen", "exemplars", "data", "validation", "held_out"),
    *("out", "csv", "plot"),
)
"""Options that name places of data."""
WRITTEN: Final = frozenset({"out", "csv", "plot"})
"""Those that are written."""
CLIPS: Final = ("data", "validation")
"""Those of them in which sounds that are made on the spot have a name among the places."""
LOCAL_SCHEMES: Final = ("file://", "local://")


def with_absolute_paths(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, each path of this machine written from its root on."""
    named = {
        name: _each(options[name], lambda uri, name=name: uri if _is_made(name, uri) else _absolute(uri))
        for name in PLACES
        if name in options
    }
    if _is_checkpoint(options.get("model", "")):
        named["model"] = _absolute(options["model"])
    if "out" in named:  # a path has lost it already
        named["out"] = re.sub(r"(?<=[^:/])/+$", "", named["out"])
    return {**options, **named}


def words_about_paths(
    options: Mapping[str, Any], only_paths: Collection[str] = (), mounted: Collection[str] = ()
) -> list[str]:
    """A sentence for every option that names a path of this machine.

    Those `only_paths` cannot be URLs. What lies below a folder that is `mounted` where the job runs needs no words.
    """
    model = ("model",) if may_be_checkpoint(options.get("model", "")) else ()
    said = []
    for name in (*PLACES, *model):
        value = options.get(name, [])
        places = [uri for uri in (value if isinstance(value, list) else [value]) if not _is_made(name, uri)]
        said.append(words_about(name, places, mounted, may_be_url=name not in (*only_paths, *model)))
    return [sentence for sentence in said if sentence]


def words_about(name: str, places: Sequence[str], mounted: Collection[str] = (), *, may_be_url: bool) -> str:
    """A sentence where some of the places are paths of this machine, else nothing."""
    local = [uri for uri in places if is_path(uri) and not _lies_in(uri, mounted)]
    if not local:
        return ""
    more = f" and {len(local) - 1} more" if len(local) > 1 else ""
    must = "can write" if name in WRITTEN else "sees"
    url = f"; else give a URL such as s3://bucket/{name}" if may_be_url else ""
    return (
        f"{name}: {local[0]}{more} is a path of this machine, not sent along: right only where every node of "
        f"the cluster {must} it under this name{url}"
    )


def is_path(uri: str) -> bool:
    """Whether a place, or the archive around it, is named by a path.

    >>> is_path("talks/a.mp4"), is_path("zip://a.wav::/archive.zip"), is_path("s3://bucket/a.wav")
    (True, True, False)
    """
    around = uri.rpartition("::")[2] if "://" in uri else uri
    return "://" not in around or around.startswith(LOCAL_SCHEMES)


def _lies_in(uri: str, folders: Collection[str]) -> bool:
    _, _, path = _taken_apart(uri)
    return any(Path(path).is_relative_to(folder) for folder in folders)


def may_be_checkpoint(model: str) -> bool:
    """Whether a model is named by a path: of a file here, or from the root on, where the nodes may have one."""
    return _is_checkpoint(model) or (is_path(model) and Path(model).is_absolute())


def _is_checkpoint(model: str) -> bool:
    return is_path(model) and Path(model).expanduser().is_file()


def _is_made(name: str, uri: str) -> bool:
    """Whether it is no place: sounds to train on that are made."""
    from workflows.training.clip_list import MADE

    return name in CLIPS and uri in MADE


def _absolute(uri: str) -> str:
    """A path from its root on; of a member of an archive, the path of the file that holds it all."""
    inner, scheme, path = _taken_apart(uri)
    return uri if "://" in path else "::".join([*inner, scheme + str(Path(path).expanduser().absolute())])


def _taken_apart(uri: str) -> tuple[list[str], str, str]:
    """Members, the outer one last, and scheme and path of the file that holds them all."""
    from operators.media.archive_slice import layers

    *inner, home = layers(uri)
    scheme = next((scheme for scheme in LOCAL_SCHEMES if home.startswith(scheme)), "")
    return inner, scheme, home.removeprefix(scheme)


def _each(value: Any, change: Callable[[str], str]) -> Any:
    return [change(entry) for entry in value] if isinstance(value, list) else change(value)
