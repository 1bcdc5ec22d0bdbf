"""The Arrow schemas of the dataset, written once: plan rows, decoded pieces, stem rows, source rows, coverage rows.

Searchable columns first, audio last. The README's table of columns is made from `STEM_SCHEMA` (each field carries
its description).
"""

from __future__ import annotations

import json
from typing import Final

import pyarrow as pa

SCHEMA_VERSION: Final = 2

MEMBER: Final = pa.struct(
    [
        pa.field("member_id", pa.string(), nullable=False),
        pa.field("source_uri", pa.string(), nullable=False),
        pa.field("source_version", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64()),
        pa.field("track", pa.int32()),  # null: every audio track
        pa.field("start_seconds", pa.float64(), nullable=False),
        pa.field("end_seconds", pa.float64()),  # null: to the end
        # What a manifest asks for: nothing outside of it is looked at, however the source is cut into members.
        pa.field("clip_start_seconds", pa.float64()),  # null: from the start
        pa.field("clip_end_seconds", pa.float64()),  # null: to the end
        pa.field("tags", pa.list_(pa.string())),
        # Set when the planner already knows that the source cannot be read: the unit commits this failure.
        pa.field("status", pa.string()),
        pa.field("error_class", pa.string()),
        pa.field("message", pa.string()),
        pa.field("stage", pa.string()),
    ]
)

PLAN_SCHEMA: Final = pa.schema(
    [
        pa.field("unit_id", pa.string(), nullable=False),
        pa.field("seconds", pa.float64()),  # known length of the unit, null when it is probed later
        pa.field("attempt", pa.int32(), nullable=False),
        pa.field("members", pa.list_(MEMBER), nullable=False),
    ]
)

PIECE: Final = pa.struct(
    [
        pa.field("member_id", pa.string(), nullable=False),
        pa.field("source_uri", pa.string(), nullable=False),
        pa.field("source_version", pa.string(), nullable=False),
        pa.field("track", pa.int32()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("error_class", pa.string()),
        pa.field("message", pa.string()),
        pa.field("stage", pa.string()),
        pa.field("sample_rate", pa.int32()),
        pa.field("channels", pa.int32()),
        pa.field("channel_layout", pa.string()),
        pa.field("source_clock_seconds", pa.float64()),
        pa.field("clip_start_seconds", pa.float64()),
        pa.field("clip_end_seconds", pa.float64()),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("start_seconds", pa.float64()),
        pa.field("span_samples", pa.int64()),
        pa.field("context_before_samples", pa.int64()),
        pa.field("pcm", pa.large_binary()),
    ]
)

UNIT_SCHEMA: Final = PLAN_SCHEMA.append(pa.field("pieces", pa.list_(PIECE), nullable=False))


def _column(name: str, kind: pa.DataType, description: str) -> pa.Field:
    return pa.field(name, kind, metadata={"description": description})


EVENT: Final = pa.struct(
    [
        pa.field("start_seconds", pa.float64()),
        pa.field("end_seconds", pa.float64()),
        pa.field("presence", pa.float32()),
    ]
)

_STEM_COLUMNS: Final = [
    _column("stem_id", pa.string(), "hash of the source version, track, start, query content, model and settings"),
    _column("run_id", pa.string(), "the run that committed the row"),
    _column("unit_id", pa.string(), "the unit of work, and the name of the file"),
    _column("member_id", pa.string(), "the span of the source that was planned as a whole"),
    _column("source_uri", pa.string(), "where the media lies; opens with fsspec"),
    _column("source_version", pa.string(), "etag, or size and modification time"),
    _column("track", pa.int32(), "audio track of the source, from 0"),
    _column("query_id", pa.string(), "id of the query in the catalog"),
    _column("query_text", pa.string(), "the query in words"),
    _column("ucs_cat_id", pa.string(), "UCS category of the query, null when the catalog names none"),
    _column("tags", pa.list_(pa.string()), "tags of the source in its manifest"),
    _column("start_seconds", pa.float64(), "start on the source's time line"),
    _column("end_seconds", pa.float64(), "end, exclusive"),
    _column("sample_rate", pa.int32(), "Hz"),
    _column("channels", pa.int32(), "channels of the stem, as in the source"),
    _column("channel_layout", pa.string(), "their layout in ffmpeg's words (stereo, 5.1), null when it is not told"),
    _column("source_clock_seconds", pa.float64(), "the source's own clock at its start (BWF time reference), or null"),
    _column("continued", pa.bool_(), "an event that goes on from the one before it: longer activity is cut"),
    _column("presence", pa.float32(), "highest probability that the query sounds in the row; null for a residual"),
    _column("clap_similarity", pa.float32(), "cosine between the stem's embedding and the query's"),
    _column("loudness_lufs", pa.float32(), "integrated loudness (ITU-R BS.1770), null when too short or too quiet"),
    _column("peak_dbfs", pa.float32(), "sample peak of the stem before gain_db"),
    _column("gain_db", pa.float32(), "gain applied before encoding so that nothing clips; subtract it to undo"),
    _column("energy_ratio_db", pa.float32(), "energy of the stem relative to the mixture"),
    _column("residual_ratio_db", pa.float32(), "energy of what the stem leaves, relative to the mixture"),
    _column("events", pa.list_(EVENT), "active regions on the source's time line"),
    _column("embedding", pa.list_(pa.float16()), "CLAP embedding of the stem's best window, unit length"),
    _column("model_signature", pa.string(), "model name and hash of its weights and configuration"),
    _column("catalog_hash", pa.string(), "hash of the catalog's content"),
    _column("schema_version", pa.int32(), "version of this table"),
    _column("audio", pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())]), "FLAC, 24 bit"),
]


def _huggingface_features() -> dict[str, object]:
    """The `features` of Hugging Face `datasets`, so that `audio` is decoded on access."""
    names = {
        pa.string(): "string",
        pa.bool_(): "bool",
        pa.int32(): "int32",
        pa.float32(): "float32",
        pa.float64(): "float64",
    }
    features: dict[str, object] = {
        field.name: {"dtype": names[field.type], "_type": "Value"} for field in _STEM_COLUMNS if field.type in names
    }
    features["events"] = {
        "feature": {f.name: {"dtype": names[f.type], "_type": "Value"} for f in EVENT},
        "_type": "List",
    }
    features["tags"] = {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"}
    features["embedding"] = {"feature": {"dtype": "float16", "_type": "Value"}, "_type": "List"}
    features["audio"] = {"_type": "Audio"}
    return {field.name: features[field.name] for field in _STEM_COLUMNS}


STEM_SCHEMA: Final = pa.schema(
    _STEM_COLUMNS, metadata={"huggingface": json.dumps({"info": {"features": _huggingface_features()}})}
)

EVENT_TABLE_SCHEMA: Final = pa.schema(
    [
        _column("query_id", pa.string(), "id of the query"),
        _column("rank", pa.int32(), "place among the events of the query, from 1, the best first"),
        _column("score", pa.float32(), "what the rank is made from, 0 to 1"),
        _column("duplicate_of", pa.string(), "stem_id of a better event of the query that sounds the same, or null"),
        *(
            STEM_SCHEMA.field(name)
            for name in (
                "stem_id", "unit_id", "source_uri", "source_version", "track", "query_text", "ucs_cat_id", "tags",
            )
        ),
        _column("event_start_seconds", pa.float64(), "where the event starts on the source's time line"),
        _column("event_end_seconds", pa.float64(), "where it ends, exclusive"),
        *(
            STEM_SCHEMA.field(name)
            for name in (
                "start_seconds", "end_seconds", "sample_rate", "channels", "continued", "presence", "clap_similarity",
                "loudness_lufs", "peak_dbfs", "energy_ratio_db", "residual_ratio_db", "embedding",
            )
        ),
    ]
)  # fmt: skip
"""`LIB/events.parquet`: one row per mined event, without its audio; derived from the committed units."""

_MOMENT: Final = pa.timestamp("ms", tz="UTC")

SOURCE_SCHEMA: Final = pa.schema(
    [
        _column("source_uri", pa.string(), "where the media lies"),
        _column("source_version", pa.string(), "etag, or size and modification time"),
        _column("track", pa.int32(), "audio track, null when the source as a whole failed or has none"),
        _column("status", pa.string(), "ok, partial, no_audio, unreadable or failed"),
        _column("error_class", pa.string(), "short name of what went wrong"),
        _column("message", pa.string(), "what went wrong, for a person"),
        _column("stage", pa.string(), "where it went wrong"),
        _column("attempts", pa.int32(), "how often it was tried"),
        _column("seconds", pa.float64(), "seconds of audio decoded"),
        _column("sample_rate", pa.int32(), "Hz, of the stems"),
        _column("channels", pa.int32(), "channels of the track"),
        _column("stems", pa.int64(), "stem rows written"),
        _column("deleted_at", _MOMENT, "when a run did not find it any more, null: it is there"),
        _column("newer_version", pa.string(), "the version that replaced this one, null: it is the latest"),
    ]
)

LISTING_SCHEMA: Final = pa.schema(
    [
        _column("source_uri", pa.string(), "where the media lies, or lay"),
        _column("source_version", pa.string(), "the version that is there, or was the last"),
        _column("deleted_at", _MOMENT, "when a run did not find it any more, null: it is there"),
    ]
)
"""`OUT/listings/<run_id>.parquet`: what a run found to be otherwise than was known (`operators/whereabouts.py`)."""

COVERAGE_SCHEMA: Final = pa.schema(
    [
        _column("unit_id", pa.string(), "unit of work"),
        _column("source_uri", pa.string(), "where the media lies"),
        _column("track", pa.int32(), "audio track"),
        _column("query_id", pa.string(), "id of the query"),
        _column("start_seconds", pa.float64(), "start of the span"),
        _column("end_seconds", pa.float64(), "end of the span, exclusive"),
        _column("windows", pa.int64(), "windows looked at"),
        _column("windows_passed", pa.int64(), "windows whose presence passed the gate"),
        _column("windows_silent", pa.int64(), "windows of digital silence, never shown to the network"),
        _column("presence_max", pa.float32(), "highest presence"),
        _column("window_starts", pa.list_(pa.float64()), "start of every window's kept part, in seconds"),
        _column("window_presence", pa.list_(pa.float32()), "presence of every window"),
        _column("outcome", pa.string(), "present, not_present, too_quiet, or no_event (in a library)"),
        _column("stems", pa.int64(), "stem rows written"),
    ]
)

RECEIPT_SCHEMA: Final = pa.schema(
    [
        pa.field("unit_id", pa.string(), nullable=False),
        pa.field("begun", pa.int32(), nullable=False),  # how often; 0: the run was called off before
        pa.field("committed", pa.bool_(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),  # audio decoded and looked at, context not counted
        pa.field("stems", pa.int64(), nullable=False),
        pa.field("events", pa.int64(), nullable=False),
        pa.field("windows", pa.int64(), nullable=False),
        pa.field("pairs", pa.int64(), nullable=False),
        pa.field("pairs_passed", pa.int64(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("wall_seconds", pa.float64(), nullable=False),
        pa.field("statuses", pa.list_(pa.string()), nullable=False),
        pa.field("error_classes", pa.list_(pa.string()), nullable=False),
        pa.field("messages", pa.list_(pa.string()), nullable=False),
    ]
)
