"""A real control plane on this machine: etcd, the API server with its access rules enforced, controllers and scheduler.

`.ci/control-plane` builds the programs; a newer Kubernetes in $SOUNDQUARRY_CONTROL_PLANE serves as well. Everything
listens on free ports of 127.0.0.1, lies in one folder, and ends by process id.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from server_api import Api, RefusedError, awaited
from tools import TOOLS, tool

START_SECONDS: Final = 60.0
"""4 s on two idle cores."""
ISSUER: Final = "https://kubernetes.default.svc"
USERS: Final = {"admin": "system:masters", "controllers": "system:masters", "scheduler": "system:masters"}
"""Who has a token from the start, and the group that gives the rights; others are made by tests."""
BOUND_TOKENS: Final = "BoundServiceAccountTokenVolume=true"
"""Pods get the short-lived tokens that they get today; a switch in 1.20."""
TODAYS_CRON_JOBS: Final = "CronJobControllerV2=true"
"""The controller of today, which looks at the minute and not every 10 s; a switch in 1.20."""
PROGRAMS: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane in `folder`."""

    folder: Path
    url: str
    tokens: dict[str, str]

    @property
    def certificate(self) -> Path:
        """The server's certificate, which is also what it is known by."""
        return self.folder / "certificates" / "apiserver.crt"

    @property
    def admin(self) -> Api:
        """The API for somebody who may do everything."""
        return Api(self.url, self.certificate, self.tokens["admin"])

    def kubeconfig(self, name: str, token: str, namespace: str = "default") -> Path:
        """A file that helm and clients find the server and its user by."""
        path = self.folder / f"{name}.kubeconfig"
        cluster = {"server": self.url, "certificate-authority": str(self.certificate)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name, "namespace": namespace}}],
            "current-context": "test",
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path


def program(name: str) -> str:
    """The path of one of PROGRAMS. Where it is missing the test is skipped, loudly; with CI set it fails instead."""
    folder = Path(os.environ.get("SOUNDQUARRY_CONTROL_PLANE") or TOOLS / "kubernetes")
    if (folder / name).is_file():
        return str(folder / name)
    if name == "etcd":
        return tool(name)
    absent = f"{name} is not in {folder}: run `make test-kubernetes`, which builds it"
    if os.environ.get("CI"):
        pytest.fail(absent)
    pytest.skip(absent)


@contextmanager
def control_plane(folder: Path) -> Iterator[ControlPlane]:
    """A control plane that ends with the block."""
    programs = {name: program(name) for name in PROGRAMS}
    etcd_port, peer_port, port = free_ports(3)
    tokens = {user: secrets.token_urlsafe() for user in USERS}
    users = [f'{token},{user},{user},"{USERS[user]}"' for user, token in tokens.items()]
    (folder / "tokens.csv").write_text("\n".join(users), encoding="utf-8")
    key = folder / "accounts.key"
    key.write_bytes(_private_key())
    plane = ControlPlane(folder, f"https://127.0.0.1:{port}", tokens)
    etcd, peer = f"http://127.0.0.1:{etcd_port}", f"http://127.0.0.1:{peer_port}"
    with contextlib.ExitStack() as running:
        running.enter_context(
            _process(
                folder,
                programs["etcd"],
                f"--data-dir={folder / 'etcd'}",
                *(f"--{kind}-client-urls={etcd}" for kind in ("listen", "advertise")),
                *(f"--{kind}-peer-urls={peer}" for kind in ("listen", "initial-advertise")),
                f"--initial-cluster=default={peer}",
                "--unsafe-no-fsync",  # nothing here outlives the test
            )
        )
        server = running.enter_context(
            _process(
                folder,
                programs["kube-apiserver"],
                f"--etcd-servers={etcd}",
                f"--secure-port={port}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                "--endpoint-reconciler-type=none",  # the kubernetes service cannot point to a loopback address
                "--service-cluster-ip-range=10.0.0.0/24",
                f"--cert-dir={folder / 'certificates'}",
                "--authorization-mode=RBAC",
                f"--token-auth-file={folder / 'tokens.csv'}",
                f"--service-account-issuer={ISSUER}",
                f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                *_where_offered(programs["kube-apiserver"], f"--feature-gates={BOUND_TOKENS}"),
            )
        )
        awaited(lambda: _is_ready(plane, server), "an API server that is ready", START_SECONDS)
        controllers, scheduler = (plane.kubeconfig(user, tokens[user]) for user in ("controllers", "scheduler"))
        running.enter_context(
            _process(
                folder,
                programs["kube-controller-manager"],
                f"--kubeconfig={controllers}",
                f"--service-account-private-key-file={key}",
                f"--root-ca-file={plane.certificate}",
                "--leader-elect=false",
                *_listening(folder, programs["kube-controller-manager"]),
                *_where_offered(programs["kube-controller-manager"], f"--feature-gates={TODAYS_CRON_JOBS}"),
            )
        )
        running.enter_context(
            _process(
                folder,
                programs["kube-scheduler"],
                f"--kubeconfig={scheduler}",
                "--leader-elect=false",
                *_listening(folder, programs["kube-scheduler"]),
            )
        )
        yield plane


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _private_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _listening(folder: Path, path: str) -> list[str]:
    (port,) = free_ports(1)
    serving = ["--bind-address=127.0.0.1", f"--secure-port={port}", f"--cert-dir={folder / 'certificates'}"]
    return serving + _where_offered(path, "--port=0")  # no second, plain port


def _where_offered(path: str, argument: str) -> list[str]:
    """The argument, where this version of the program still knows it."""
    usage = subprocess.run([path, "--help"], capture_output=True, text=True, check=True).stdout
    name, _, value = argument.partition("=")
    offered = f"{value}|false" in usage if name == "--feature-gates" else f"{name} " in usage
    return [argument] if offered else []


def _is_ready(plane: ControlPlane, server: subprocess.Popen[bytes]) -> bool:
    if server.poll() is not None:
        log = (plane.folder / "kube-apiserver.log").read_text(encoding="utf-8")
        raise AssertionError(f"kube-apiserver ended with {server.returncode}:\n{log[-4000:]}")
    try:
        return plane.certificate.exists() and plane.admin.call("GET", "/readyz") == "ok"
    except (OSError, RefusedError):
        return False


@contextmanager
def _process(folder: Path, path: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The program with its output in a file beside its data; ended with the block."""
    with (folder / f"{Path(path).name}.log").open("wb") as log:
        process = subprocess.Popen([path, *arguments], stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
