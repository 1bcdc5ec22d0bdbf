"""Files of labels, one a line: what training leaves out, and what an evaluation tells apart as unseen."""

from __future__ import annotations

from pathlib import Path


class LabelFileError(ValueError):
    """The file cannot be read as labels; the message names it, and says what to do."""


def held_out_labels(file: Path) -> frozenset[str]:
    """The labels of a file, one a line, which may have spaces inside. Raises LabelFileError for what cannot be read, or
    is no UTF-8."""
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise LabelFileError(f"{file} cannot be read ({error.strerror}); give a text file, one label a line") from None
    except UnicodeDecodeError as error:
        raise LabelFileError(f"{file} is no UTF-8 text ({error}); give one label a line") from None
    return frozenset(line.strip() for line in lines if line.strip())
