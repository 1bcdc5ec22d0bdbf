"""Names, labels and annotations as an API server takes them.

The published schemas only say that they are strings; what is refused beyond that is told here, after Kubernetes'
apimachinery (`validation.go`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
DNS_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
QUALIFIED_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
MOST_LABEL_CHARACTERS: Final = 63
MOST_NAME_CHARACTERS: Final = 253
MOST_ANNOTATION_BYTES: Final = 256 * 1024


def meta_problems(meta: Mapping[str, Any], path: str = "metadata", *, named: bool = True) -> list[str]:
    """What an API server refuses in the metadata of an object; `named` where a name is needed."""
    found = []
    name, prefix = meta.get("name"), meta.get("generateName")
    if name is not None and not _is_subdomain(name):
        found.append(f"{path}.name: {name!r} is no DNS-1123 subdomain of at most {MOST_NAME_CHARACTERS} characters")
    elif named and not name and not prefix:
        found.append(f"{path}: name or generateName is required")
    for key, value in (meta.get("labels") or {}).items():
        found += _key_problems(key, f"{path}.labels")
        if value and not (len(value) <= MOST_LABEL_CHARACTERS and QUALIFIED_NAME.fullmatch(value)):
            limit = f"at most {MOST_LABEL_CHARACTERS} characters"
            found.append(f"{path}.labels.{key}: {value!r} is no label value of {limit}")
    annotations = meta.get("annotations") or {}
    for key in annotations:
        found += _key_problems(key, f"{path}.annotations")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > MOST_ANNOTATION_BYTES:
        found.append(f"{path}.annotations: {size} bytes, at most {MOST_ANNOTATION_BYTES}")
    return found


def _is_subdomain(name: str) -> bool:
    return len(name) <= MOST_NAME_CHARACTERS and DNS_SUBDOMAIN.fullmatch(name) is not None


def _key_problems(key: str, path: str) -> list[str]:
    prefix, slash, name = key.rpartition("/")
    good_prefix = not slash or _is_subdomain(prefix)
    if good_prefix and len(name) <= MOST_LABEL_CHARACTERS and QUALIFIED_NAME.fullmatch(name):
        return []
    return [f"{path}: {key!r} is no qualified name"]
