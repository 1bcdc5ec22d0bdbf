"""Writes planned files: rows stream from the dataset into as many open files as one pass over them feeds.

Contract: each file appears whole or not at all; memory does not grow with the length of a file. `check_target`
(`operators/export/target.py`) comes first: nothing that is there is written over without being asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from operators.export.audio_file import AudioFacts, AudioFileWriter, AudioForm, silence
from operators.export.plan import Container, ExportFile, Shape
from operators.export.read import BLOCK_SAMPLES, RowReader, as_floats, as_steps
from operators.export.selection import StemRow

MAX_OPEN: Final = 32
"""Files written at once, an ffmpeg of about 25 MB each."""

OnWritten = Callable[[float], None]


@dataclass(frozen=True)
class Named:
    """A planned file and where it goes."""

    uri: str
    file: ExportFile


def passes(files: Sequence[Named], shape: Shape) -> Iterator[list[Named]]:
    """Files that are written together: the queries of one track, or events that lie near each other."""
    if shape == "events":
        near = sorted(files, key=lambda named: (named.file.head.place, named.file.start))
        yield from _chunks(near)
        return
    first: dict[tuple[str, int], tuple[str, int, int]] = {}
    for named in files:
        key = (named.file.head.source_uri, named.file.head.track)
        lies = min(row.place for row in named.file.rows)
        first[key] = min(lies, first.get(key, lies))
    tracks = sorted(
        files, key=lambda named: (first[named.file.head.source_uri, named.file.head.track], named.file.head.source_uri)
    )
    for _, group in groupby(tracks, key=lambda named: (named.file.head.source_uri, named.file.head.track)):
        yield from _chunks(list(group))


def write_pass(
    together: Sequence[Named],
    reader: RowReader,
    container: Container,
    gain_db: float,
    on_written: OnWritten = lambda seconds: None,
) -> int:
    """Writes these files in one pass over their rows, and returns their size in bytes.

    `on_written` hears of the seconds of audio as they are written.
    """
    with ExitStack() as stack:
        growing = []
        for named in together:
            file = _Growing(named, container, gain_db)
            stack.enter_context(file.writer)
            growing.append(file)
        rows = [(row, file) for file in growing for row in file.named.file.rows]
        if len(rows) == len(growing):  # one row each: in the order in which they lie
            rows.sort(key=lambda item: item[0].place)
        else:
            rows.sort(key=lambda item: (item[0].start_seconds, item[0].place))
        for row, file in rows:
            on_written(file.add(row, reader))
        size_bytes = 0
        for file in growing:
            on_written(file.fill())
            size_bytes += file.writer.publish()
        return size_bytes


@dataclass
class _Growing:
    """A file in the making; `position` is the next sample of the source's time line."""

    named: Named
    container: Container
    gain_db: float
    writer: AudioFileWriter = field(init=False)
    position: int = field(init=False)

    def __post_init__(self) -> None:
        file = self.named.file
        head = file.head
        form = AudioForm(self.container, file.clips(self.gain_db), head.sample_rate, head.channels, head.channel_layout)
        self.writer = AudioFileWriter(self.named.uri, form, facts_of(file))
        self.position = file.start

    def add(self, row: StemRow, reader: RowReader) -> float:
        """Puts the row's samples in their place, and returns the seconds that were written.

        What two rows tell of one stretch (clips that overlap) is taken once.
        """
        began, stop = self.position, min(row.stop, self.named.file.stop)
        self._silence_until(row.start)
        if self.position >= stop:
            return self._seconds_since(began)
        convert = as_floats if self.writer.form.is_float else as_steps
        for block in reader.blocks(row, self.position, stop):
            self.writer.write(convert(block, self.gain_db - row.gain_db))
        self.position = stop
        return self._seconds_since(began)

    def fill(self) -> float:
        """Silence to the end of the file; returns its seconds."""
        began = self.position
        self._silence_until(self.named.file.stop)
        return self._seconds_since(began)

    def _seconds_since(self, position: int) -> float:
        return (self.position - position) / self.writer.form.sample_rate

    def _silence_until(self, stop: int) -> None:
        while self.position < stop:
            samples = min(BLOCK_SAMPLES, stop - self.position)
            self.writer.write(silence(self.writer.form, samples))
            self.position += samples


def facts_of(file: ExportFile) -> AudioFacts:
    """What the file says of itself."""
    head = file.head
    track = f", track {head.track}" if head.track else ""
    return AudioFacts(
        description=f"{head.query_text} ({head.query_id}) from {head.source_uri}{track}",
        source_uri=head.source_uri,
        query_text=head.query_text,
        ucs_cat_id=head.ucs_cat_id,
        tags=file.tags,
        time_reference=file.time_reference,
        reference=file.reference,
    )


def _chunks(files: Sequence[Named]) -> Iterator[list[Named]]:
    for at in range(0, len(files), MAX_OPEN):
        yield list(files[at : at + MAX_OPEN])
