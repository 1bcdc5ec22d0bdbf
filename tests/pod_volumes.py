"""What a pod's container is given before it starts: its volumes as folders, and its environment."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from server_api import Api, Object, RefusedError

Pod = Mapping[str, Any]


def mounted(api: Api, pod: Pod, container: Mapping[str, Any], folder: Path) -> dict[PurePosixPath, Path]:
    """Where each volume of the container is mounted, and the folder or file that is mounted there. The volumes of a pod
    are made once, below `folder`."""
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
    places = {}
    for mount in container.get("volumeMounts", []):
        volume, source = volumes[mount["name"]], folder / mount["name"]
        if "hostPath" in volume:
            source = Path(volume["hostPath"]["path"])
        elif not source.exists():
            source.mkdir(parents=True)
            _fill(api, pod, volume, source)
        within = mount.get("subPath", "")
        places[PurePosixPath(mount["mountPath"])] = source / within
    return places


def environment(api: Api, pod: Pod, container: Mapping[str, Any]) -> dict[str, str]:
    """The container's own variables, references looked up."""
    space = pod["metadata"]["namespace"]
    values: dict[str, str] = {}
    for source in container.get("envFrom", []):
        for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            if key in source:
                found = {name: data.decode() for name, data in _entries(api, kind, source[key], space)}
                values |= {source.get("prefix", "") + name: value for name, value in found.items()}
    for one in container.get("env", []):
        told = one.get("valueFrom")
        values[one["name"]] = expanded(one.get("value", ""), values) if told is None else _looked_up(api, pod, told)
    return values


def expanded(text: str, values: Mapping[str, str]) -> str:
    """The text with $(NAME) replaced; an unknown name stays as it is, $$ is a dollar sign."""
    return re.sub(r"\$\$|\$\((\w+)\)", lambda m: "$" if m[0] == "$$" else values.get(m[1], m[0]), text)


def _looked_up(api: Api, pod: Pod, told: Mapping[str, Any]) -> str:
    if "fieldRef" in told:
        return _field(pod, told["fieldRef"]["fieldPath"])
    for kind, key in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
        if key in told:
            reference = told[key]
            found = dict(_entries(api, kind, reference, pod["metadata"]["namespace"]))
            return found[reference["key"]].decode() if reference["key"] in found else ""
    raise NotImplementedError(f"valueFrom {told} is not played here: add it to tests/pod_volumes.py")


def _field(pod: Pod, path: str) -> str:
    if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        return str(pod["metadata"].get(match[1], {}).get(match[2], ""))
    value: Any = pod
    for key in path.split("."):
        value = value.get(key, "")
    return str(value)


def _fill(api: Api, pod: Pod, volume: Mapping[str, Any], folder: Path) -> None:
    """Write what the volume holds; one that is empty at first, or a claim, is an empty folder."""
    if not volume.keys() & {"emptyDir", "persistentVolumeClaim", "ephemeral"}:
        sources = volume["projected"]["sources"] if "projected" in volume else [volume]
        for source in sources:
            for name, data in _files(api, pod, source):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(data)


def _files(api: Api, pod: Pod, source: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    space = pod["metadata"]["namespace"]
    if "configMap" in source:
        yield from _entries(api, "ConfigMap", source["configMap"], space)
    elif "secret" in source:
        told = source["secret"]
        yield from _entries(api, "Secret", {"name": told.get("secretName", told.get("name")), **told}, space)
    elif "downwardAPI" in source:
        for item in source["downwardAPI"]["items"]:
            yield item["path"], _field(pod, item["fieldRef"]["fieldPath"]).encode()
    elif "serviceAccountToken" in source:
        account = api.service_account(pod["spec"]["serviceAccountName"], space)
        yield source["serviceAccountToken"]["path"], account.token.encode()
    else:
        raise NotImplementedError(f"volume {source} is not played here: add it to tests/pod_volumes.py")


def _entries(api: Api, kind: str, reference: Mapping[str, Any], space: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of each entry of a ConfigMap or Secret, under the names that `items` gives."""
    try:
        stored: Object = api.get("v1", kind, reference["name"], space)
    except RefusedError as error:
        if error.code == 404 and reference.get("optional"):
            return
        raise
    texts = stored.get("data") or {}
    plain = {} if kind == "Secret" else {name: text.encode() for name, text in texts.items()}
    coded = texts if kind == "Secret" else stored.get("binaryData") or {}
    entries = plain | {name: base64.b64decode(text) for name, text in coded.items()}
    paths = {item["key"]: item["path"] for item in reference.get("items", [])} or {name: name for name in entries}
    yield from ((path, entries[name]) for name, path in paths.items())
