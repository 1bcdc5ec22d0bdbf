"""The command as somebody gives it, in this process: no start of Python, no import of torch for each."""

from __future__ import annotations

import json
from typing import Any

from click.testing import Result
from typer.testing import CliRunner


def command_here(*arguments: str) -> Result:
    """What it ends with. Its errors are sentences: an exception that reaches the top is raised here."""
    from workflows.cli import app

    done = CliRunner().invoke(app, list(arguments))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def told_by(*arguments: str) -> list[dict[str, Any]]:
    """The JSON lines of a command that must end well."""
    done = command_here(*arguments)
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
