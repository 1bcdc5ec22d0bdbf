"""How well a search in other words than the catalog's finds the right sounds.

    python bench/search_phrases.py OUT bench/phrases_everyday.yaml [--timeline TIMELINE.csv --source ENDING] [--track 0]

For several shares of the wording (see `operators/search.py`): the phrases of which the right query is among the first
three hits, and at the very first. With a time line, also how many of the first three hits of a phrase hold the sound
in truth for at least a tenth of a second, among those of that source and track.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import yaml
from event_scores import LABELS

from operators.search import WORDING_SHARE, Hit, Search, Sought, searchable_rows
from workflows.search import TextEmbedder, model_of

SHARES = (0.0, 0.15, WORDING_SHARE, 0.5, 0.75, 1.0)
SHOWN = 3
HEARD_SECONDS = 0.1
INSTRUMENTS = ["clarinet", "violin", "saxophone", "cello", "double_bass", "acoustic_guitar"]


def main() -> None:
    """Print one line per share, then what was missed with the default one."""
    parser = argparse.ArgumentParser(description="Search in other words.")
    parser.add_argument("out")
    parser.add_argument("phrases", type=Path)
    parser.add_argument("--timeline", type=Path)
    parser.add_argument("--source", default="", help="end of the source's URI, of which the time line tells")
    parser.add_argument("--track", type=int, default=0)
    arguments = parser.parse_args()
    phrases: dict[str, str] = yaml.safe_load(arguments.phrases.read_text(encoding="utf-8"))
    embed = TextEmbedder(model_of(arguments.out))
    vectors = embed(list(phrases))
    tables = list(searchable_rows(arguments.out))
    truth = _truth(arguments.timeline, arguments.track) if arguments.timeline else None
    missed: list[str] = []
    for share in SHARES:
        among = first = heard = told = 0
        for row, (phrase, query) in enumerate(phrases.items()):
            search = Search(Sought(vectors[row], vectors[:0]), embed, wording_share=share)
            hits = search.top(tables, SHOWN)
            found = [hit.query_id for hit in hits]
            among, first = among + (query in found), first + (found[0] == query)
            if share == WORDING_SHARE and query not in found:
                missed.append(f"{phrase!r} ({query}): {', '.join(found)}")
            for hit in hits if truth is not None else []:
                if hit.source_uri.endswith(arguments.source) and hit.track == arguments.track:
                    told += 1
                    heard += _heard(hit, [span for label in _labels(query) for span in truth.get(label, [])])
        sounds = f"   holds the sound in truth {heard / max(1, told):5.1%} of {told} hits" if truth is not None else ""
        print(f"wording {share:4.2f}   in the first {SHOWN} {among:2} of {len(phrases)}   first {first:2}{sounds}")
    print(f"missed with {WORDING_SHARE}: {'; '.join(missed) or 'none'}")


def _labels(query: str) -> list[str]:
    return ["music", *INSTRUMENTS] if query == "music" else LABELS.get(query, [query])


def _truth(timeline: Path, track: int) -> dict[str, list[tuple[float, float]]]:
    spans: dict[str, list[tuple[float, float]]] = {}
    with timeline.open() as file:
        for row in csv.DictReader(file):
            if int(row.get("track") or 0) == track:
                spans.setdefault(row["label"], []).append((float(row["onset"]), float(row["offset"])))
    return spans


def _heard(hit: Hit, spans: list[tuple[float, float]]) -> bool:
    shared = (min(hit.end_seconds, stop) - max(hit.start_seconds, start) for start, stop in spans)
    return any(seconds >= HEARD_SECONDS for seconds in shared)


if __name__ == "__main__":
    main()
