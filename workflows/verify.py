"""`soundquarry verify OUT`: is the dataset whole, and does it agree with itself?"""

from __future__ import annotations

import json

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from operators.dataset import SIGNATURE_FILE
from operators.findings import VerifyResult
from operators.verification import verify_dataset
from operators.whole_file import place

ROWS_SHOWN = 100


def verify(out_uri: str, *, decode: bool = False) -> VerifyResult:
    """Every finding about the dataset at `out_uri`; with `decode` the audio of every stem is decoded too."""
    return verify_dataset(out_uri, decode=decode)


def print_result(result: VerifyResult, console: Console | None = None) -> None:
    """The result as a table for people."""
    console = console or Console()
    decoded = f", {result.decoded} stems decoded" if result.decoded else ""
    console.print(
        f"{escape(result.out_uri)}: {result.units} units, {result.stems} stems, {result.members} members committed "
        f"of {result.planned_members} planned{decoded}",
        highlight=False,
    )
    if result.findings:
        table = Table("finding", show_lines=True)
        table.add_column("where", overflow="fold")
        table.add_column("what", overflow="fold")
        for finding in result.findings[:ROWS_SHOWN]:
            style = "dim" if finding.harmless else None
            kind = f"{finding.kind} (harmless)" if finding.harmless else finding.kind
            table.add_row(kind, escape(finding.where), escape(finding.message), style=style)
        console.print(table)
    if len(result.findings) > ROWS_SHOWN:
        console.print(f"and {len(result.findings) - ROWS_SHOWN} more: --json lists them all")
    console.print("[green]clean[/green]" if result.clean else "[red]not clean[/red]")


def run_verify(out_uri: str, *, decode: bool = False, as_json: bool = False) -> int:
    """Verifies, prints, and returns the exit code: 0 clean, 1 with findings. FileNotFoundError where nothing lies."""
    out = place(out_uri)
    if not (out / SIGNATURE_FILE).exists() and not (out / "stems").exists():
        raise FileNotFoundError(f"there is no dataset at {out_uri}: no {SIGNATURE_FILE} lies there; check the path")
    result = verify(out_uri, decode=decode)
    if as_json:
        print(json.dumps(result.as_dict()))
    else:
        print_result(result)
    return 0 if result.clean else 1
