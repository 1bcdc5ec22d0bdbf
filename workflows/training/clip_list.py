"""Which clips there are to train on: tables, folders, and sounds that are made, as rows with label and words.

    FOLDER with manifests/*.csv     every table in it but dev.csv; paths are relative to the folder
    FOLDER of recordings            every sound in it; no words are known, the label is the file's own
    TABLE (csv, jsonl, parquet)     columns path, and label, caption, licence, group where there are any
    synthesis                       sounds that this package makes itself, with their words
    speech, instruments             spoken by espeak-ng, played by fluidsynth, with their words

A caption that all clips of a label have in common words the label; where they differ, each clip keeps its own. A
folder's `*captions*.json` (label -> caption, paraphrases) add to the words of its labels.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Final

from operators.manifest_rows import manifest_rows
from operators.media.names import MEDIA_EXTENSIONS, extension
from operators.whole_file import Place, place

SYNTHESIS: Final = "synthesis"
MADE: Final = (SYNTHESIS, "speech", "instruments")
"""What is made and not read."""
TABLES: Final = ("csv", "jsonl", "parquet")


class TrainingDataError(ValueError):
    """Data that cannot be trained on; the message names the place, what was found, and what to do."""


@dataclass(frozen=True)
class ClipRow:
    """One recording to train on; `caption` is empty where no words are known, `group` where it stands alone."""

    uri: str
    label: str
    caption: str = ""
    group: str = ""


@dataclass
class ClipList:
    """What is to be read, what was left out and why, and further words for labels."""

    rows: list[ClipRow] = field(default_factory=list)
    wordings: dict[str, list[str]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    made: list[str] = field(default_factory=list)
    """Which of `MADE`."""


@dataclass(frozen=True)
class ClipRules:
    """What must not be trained on: labels, and licences that hold one of these words ("NC"), in any case. Where words
    are unwanted, a clip without a licence is left out, too."""

    held_out_labels: frozenset[str] = frozenset()
    unwanted_licences: frozenset[str] = frozenset()


def list_clips(data: Sequence[str], rules: ClipRules) -> ClipList:
    """The clips of all of `data`. Raises TrainingDataError where there is nothing, or a table lacks a column."""
    clips = ClipList()
    for uri in data:
        if uri in MADE:
            clips.made.append(uri)
            continue
        root = place(uri)
        if extension(uri) in TABLES:
            _take_table(root, root.path.rpartition("/")[0], rules, clips)
        elif not root.fs.isdir(root.path):
            raise TrainingDataError(
                f"no data at {uri}: give a folder, a table ({', '.join(TABLES)}), or one of {', '.join(MADE)}"
            )
        elif tables := _manifests(root):
            for table in tables:
                _take_table(Place(root.fs, table, root.is_local), root.path, rules, clips)
            _take_wordings(root, rules, clips)
        else:
            _take_folder(root, rules, clips)
    _word_labels(clips)
    if not clips.rows and not clips.made:
        left_out = ", ".join(f"{count} for their {why}" for why, count in clips.left_out.items()) or "none was found"
        raise TrainingDataError(f"no clip to train on in {', '.join(data)} ({left_out}); give other data")
    return clips


def _word_labels(clips: ClipList) -> None:
    """Captions that a label's clips have in common become words of the label, and no longer those of each clip."""
    captions: dict[str, set[str]] = {}
    for row in clips.rows:
        captions.setdefault(row.label, set()).add(row.caption)
    shared = {label: found.pop() for label, found in captions.items() if len(found) == 1}
    for label, caption in shared.items():
        if caption:
            clips.wordings.setdefault(label, []).append(caption)
    clips.rows = [replace(row, caption="") if row.label in shared else row for row in clips.rows]


def _manifests(root: Place) -> list[str]:
    """Tables of training clips of a folder; those of development are never read."""
    return [path for path in (root / "manifests").find(".csv") if PurePosixPath(path).stem != "dev"]


def _take_table(table: Place, folder: str, rules: ClipRules, clips: ClipList) -> None:
    for where, row in manifest_rows(table.uri, "path"):
        if not row.get("path"):
            raise TrainingDataError(
                f"{where}: no path; a table of clips has the column path, this one {', '.join(row)}"
            )
        path = str(row["path"])
        inside = Place(table.fs, folder, table.is_local) / path
        caption = str(row.get("caption") or "")
        clip = ClipRow(
            uri=path if "://" in path or path.startswith("/") else inside.uri,
            label=str(row.get("label") or caption or path),
            caption=caption,
            group="/".join(str(row.get(name) or "") for name in ("set", "group")) if row.get("group") else "",
        )
        _take(clip, str(row.get("licence") or row.get("license") or ""), rules, clips)


def _take_folder(root: Place, rules: ClipRules, clips: ClipList) -> None:
    for path in root.find(""):
        if extension(path) in MEDIA_EXTENSIONS:
            uri = Place(root.fs, path, root.is_local).uri
            _take(ClipRow(uri, uri), "", rules, clips)


def _take(row: ClipRow, licence: str, rules: ClipRules, clips: ClipList) -> None:
    if rules.unwanted_licences and not licence.strip():
        clips.left_out["unknown licence"] += 1
    elif {word.casefold() for word in rules.unwanted_licences} & set(re.findall(r"[a-z0-9]+", licence.casefold())):
        clips.left_out["licence"] += 1
    elif row.label in rules.held_out_labels:
        clips.left_out["held-out label"] += 1
    else:
        clips.rows.append(row)


def _take_wordings(root: Place, rules: ClipRules, clips: ClipList) -> None:
    for path in root.find(".json"):
        if PurePosixPath(path).parent == PurePosixPath(root.path) and "captions" in PurePosixPath(path).name:
            for label, words in _wordings(json.loads(root.fs.cat_file(path)), path):
                if label not in rules.held_out_labels:
                    clips.wordings.setdefault(label, []).extend(words)


def _wordings(entries: Mapping[str, Any], path: str) -> Iterator[tuple[str, list[str]]]:
    for label, entry in entries.items():
        try:
            yield label, [entry["caption"], *entry["paraphrases"]]
        except (KeyError, TypeError):
            raise TrainingDataError(f"{path}, {label}: expected caption and paraphrases, got {entry!r:.80}") from None
