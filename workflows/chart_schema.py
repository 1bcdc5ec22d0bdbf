"""The program's own part of the chart's schema, the job file: `python -m workflows.chart_schema` writes it anew.

Everything else in `values.schema.json` is written by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from workflows.jobs.job_schema import job_schema

SCHEMA: Final = Path(__file__).parent.parent / "helm" / "soundquarry" / "values.schema.json"


def with_job(schema: str) -> str:
    """The schema with the job file's of this version under `$defs/job`."""
    content = json.loads(schema)
    content["$defs"]["job"] = job_schema()
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Rewrite the chart's values.schema.json."""
    SCHEMA.write_text(with_job(SCHEMA.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
