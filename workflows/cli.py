"""The command line: every command with its name. torch and ray are imported where a command needs them."""

from __future__ import annotations

import typer

from workflows.commands.archives import extract, mine
from workflows.commands.captions import captions
from workflows.commands.datasets import export, report, search, verify
from workflows.commands.evaluation import compare, evaluate
from workflows.commands.jobs import PASSED_ON, jobs, run_file, submit
from workflows.commands.models import doctor, models
from workflows.commands.training import train

app = typer.Typer(
    name="soundquarry",
    help="Pulls named sounds out of media archives: stems with metadata, in Parquet.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for command in (extract, mine, export, search, verify, report, train, evaluate, compare, doctor):
    app.command()(command)
app.command("run", context_settings=PASSED_ON)(run_file)
app.command(context_settings=PASSED_ON)(submit)
app.add_typer(models, name="models")
app.add_typer(captions, name="captions")
app.add_typer(jobs, name="jobs")


def main() -> None:
    """Entry point of the console command."""
    app()


if __name__ == "__main__":
    main()
