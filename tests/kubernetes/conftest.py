"""One control plane for all of these tests, with KubeRay's definitions, a node and a small KubeRay; every test has a
namespace of its own."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))

from control_plane import ControlPlane, control_plane
from custom_definitions import install_kuberay, install_monitoring
from pod_root import need_mounts
from server_api import Api, RefusedError, awaited
from tiny_kubelet import TinyKubelet, tiny_kubelet
from tiny_kuberay import TinyKubeRay, tiny_kuberay

NUMBERS = itertools.count(1)
CHECKOUT = Path(__file__).resolve().parents[2]
OWN = Path("/tmp")


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that knows RayJobs."""
    with control_plane(tmp_path_factory.mktemp("plane")) as running:
        install_kuberay(running.admin)
        install_monitoring(running.admin)
        yield running


@pytest.fixture(scope="session")
def kubelet(plane: ControlPlane) -> Iterator[TinyKubelet]:
    """Its node."""
    need_mounts()
    if CHECKOUT.is_relative_to(OWN):
        pytest.skip(
            f"{CHECKOUT} lies below {OWN}, which a pod has of its own; run these tests from a checkout elsewhere"
        )
    with tiny_kubelet(plane) as running:
        yield running


@pytest.fixture(scope="session")
def kuberay(plane: ControlPlane) -> Iterator[TinyKubeRay]:
    """Its operator."""
    with tiny_kuberay(plane.admin) as running:
        yield running


@pytest.fixture
def admin(plane: ControlPlane) -> Api:
    """The API for somebody who may do everything."""
    return plane.admin


@pytest.fixture
def namespace(admin: Api) -> Iterator[str]:
    """A namespace for this test alone."""
    name = f"archive-{next(NUMBERS)}"
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    awaited(lambda: _has_account(admin, name), f"the default account of {name}")
    yield name
    admin.delete("v1", "Namespace", name)


def _has_account(api: Api, namespace: str) -> bool:
    try:
        return bool(api.get("v1", "ServiceAccount", "default", namespace))
    except RefusedError:
        return False
