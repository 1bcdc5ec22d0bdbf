"""The ledger of attempts: what began and never ended is counted, per member."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from operators.attempts import AttemptLedger


def test_what_began_and_never_ended_is_counted() -> None:
    ledger = AttemptLedger()
    assert [ledger.begin("a") for _ in range(4)] == [0, 1, 2, 3]


def test_an_end_forgets_the_member_and_no_other() -> None:
    ledger = AttemptLedger()
    for member in "aab":
        ledger.begin(member)
    ledger.end("a")
    assert ledger.begin("a") == 0
    assert ledger.begin("b") == 1


def test_an_end_without_a_beginning_is_nothing() -> None:
    ledger = AttemptLedger()
    ledger.end("a")
    assert ledger.begin("a") == 0


def test_a_run_that_is_called_off_begins_no_further_unit() -> None:
    ledger = AttemptLedger()
    assert [ledger.begin_unit("a"), ledger.begin_unit("b"), ledger.begin_unit("a")] == [1, 1, 2]
    ledger.call_off()
    assert [ledger.begin_unit("c"), ledger.begin_unit("b")] == [0, 2]
    assert ledger.begun() == {"a", "b"}


@pytest.mark.slow
def test_the_ledger_of_a_run_lies_on_the_node_of_its_driver() -> None:
    """Of three nodes, in a process of its own: without a place to be Ray spreads actors that need no core."""
    script = """
import ray
from ray._private.state import actors
from ray.cluster_utils import Cluster
from operators.attempts import remote_ledger

nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 100 * 2**20})
for _ in range(2):
    nodes.add_node(num_cpus=1, object_store_memory=100 * 2**20)
ray.init(nodes.address, log_to_driver=False)
ledgers = [remote_ledger() for _ in range(6)]
assert [ledger.begin_unit("a") for ledger in ledgers] == [1] * 6
places = {actor["Address"]["NodeID"] for actor in actors().values()}
assert places == {ray.get_runtime_context().get_node_id()}, places
ray.shutdown()
nodes.shutdown()
"""
    patient = {**os.environ, "RAY_raylet_start_wait_time_s": "120"}
    done = subprocess.run([sys.executable, "-c", script], env=patient, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
