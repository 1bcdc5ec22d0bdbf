"""How near an event is to itself when the same recording comes again, and how near other events of its query are.

    ffmpeg -i SOURCE -vn -af "adelay=370|370,volume=-6dB" -b:a 128k again.mp3
    soundquarry mine SOURCE ... --out LIB; soundquarry mine again.mp3 ... --out AGAIN
    python bench/near_duplicates.py LIB AGAIN --shift 0.37

Both libraries hold one source, mined with the same catalog. An event comes again when two of one query overlap by four
fifths of what they span together; pairs that do not overlap at all are other events.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

THRESHOLDS = (0.8, 0.9, 0.95, 0.97, 0.98, 0.99)
SAME = 0.8


def main() -> None:
    """Print, per threshold, the share of both kinds of pairs that reach it."""
    parser = argparse.ArgumentParser(description="Near-duplicates.")
    parser.add_argument("library", type=Path)
    parser.add_argument("again", type=Path)
    parser.add_argument("--shift", type=float, default=0.0, help="seconds by which everything comes later in AGAIN")
    arguments = parser.parse_args()
    ones, others = _events(arguments.library, 0.0), _events(arguments.again, arguments.shift)
    same, different = [], []
    for query in ones.keys() & others.keys():
        for start, stop, vector in ones[query]:
            for again_start, again_stop, again_vector in others[query]:
                shared = min(stop, again_stop) - max(start, again_start)
                cosine = float(vector @ again_vector)
                if shared <= 0:
                    different.append(cosine)
                elif shared >= SAME * (max(stop, again_stop) - min(start, again_start)):
                    same.append(cosine)
    print(f"{len(same)} events come again, {len(different)} pairs of other events of one query")
    for threshold in THRESHOLDS:
        reached = [float(np.mean(np.array(cosines) >= threshold)) for cosines in (same, different)]
        print(f"{threshold:4.2f}   come again {reached[0]:6.1%}   others {reached[1]:6.2%}")


def _events(library: Path, shift: float) -> dict[str, list[tuple[float, float, np.ndarray]]]:
    events: dict[str, list[tuple[float, float, np.ndarray]]] = {}
    for row in pq.read_table(library / "events.parquet").to_pylist():
        if row["embedding"] is not None:
            start, stop = row["event_start_seconds"] - shift, row["event_end_seconds"] - shift
            vector = np.array(row["embedding"], np.float32)
            events.setdefault(row["query_id"], []).append((start, stop, vector))
    return events


if __name__ == "__main__":
    main()
