"""Names of jobs: those that we make are among those that we take."""

from __future__ import annotations

import pytest

from workflows.jobs.job_file import job_of
from workflows.jobs.job_name import wrong_name
from workflows.jobs.job_service import name_of


def test_the_names_that_are_made_of_the_work_are_right() -> None:
    job = job_of("evaluate", ["list.csv", "--root", "."])
    first = name_of(job, ())
    assert wrong_name(first) == wrong_name(name_of(job, {first})) == ""


@pytest.mark.parametrize("name", ["a", "0", "nightly-2026-01-31", "a" * 63])
def test_a_label_of_the_dns_is_right(name: str) -> None:
    assert wrong_name(name) == ""


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a.b", "A", "-a", "a-", "a\n", "a" * 64])
def test_anything_else_is_told_with_what_may_be(name: str) -> None:
    assert wrong_name(name).endswith("with no - at the ends")


def test_a_name_without_end_is_not_repeated_to_its_end() -> None:
    assert len(wrong_name("a" * 10_000)) < 250
