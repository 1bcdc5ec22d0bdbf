"""Names of exported files: a template with fields in braces, checked for every system that may ever hold the files.

Contract: `name_files` gives one relative path per file, all different on macOS and Windows too (which take `Rain.wav`
and `rain.wav`, and two spellings of `é`, for one), each of which Windows can hold; or raises ExportError.
"""

from __future__ import annotations

import posixpath
import re
import string
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from operators.export.plan import ExportFile, Shape
from operators.export.selection import ExportError, examples
from operators.media.archive_slice import layers

FIELDS: Final = {
    "source": "name of the source without its extension; `.track1` and so on follow for its further tracks",
    "folder": "folder of the source below the one that all exported sources have in common",
    "source_ext": "extension of the source",
    "query": "id of the query",
    "track": "audio track, from 0",
    "start": "start in seconds, as in 00012.40; of an event the event's own",
    "end": "end in seconds",
    "rank": "place among the events of the query, the best first",
    "n": "running number within the query",
    "presence": "highest presence, as in 0.93",
    "cat_id": "UCS category of the query",
    "fx_name": "the query in title case, and a number",
    "creator_id": "what --creator says",
    "source_id": "what --source-id says, else the name of the source",
    "ext": "wav or flac",
}
DEFAULTS: Final[Mapping[Shape, str]] = {
    "stems": "{source}/{query}.{ext}",
    "events": "{query}/{source}_{start}.{ext}",
}
UCS_TEMPLATE: Final = "{cat_id}_{fx_name}_{creator_id}_{source_id}.{ext}"

COMPONENT_BYTES: Final = 255  # ext4, APFS and NTFS hold no longer one
NOT_PORTABLE: Final = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f]')
RESERVED: Final = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)
SLASH: Final = "\0"  # stands for a '/' inside of a field, which makes no folder


@dataclass(frozen=True)
class Naming:
    """How files are named. `replace_unsafe` puts `_` for what is not portable."""

    template: str
    ext: str
    creator_id: str | None = None
    source_id: str | None = None
    replace_unsafe: bool = False


def name_files(files: Sequence[ExportFile], naming: Naming) -> list[str]:
    """The path of every file below the target, in their order. Raises ExportError for names that cannot be."""
    used = _fields_of(naming.template)
    _check_fields(files, naming, used)
    values = _values(files, naming)
    names = [_render(naming.template, told) for told in values]
    if naming.replace_unsafe:
        names = ["/".join(_replaced(part) for part in name.split("/")) for name in names]
    _check_safe(names, naming)
    collisions = _collisions(names)
    if collisions:
        raise ExportError(_collided(collisions, values, naming))
    return names


def collision_key(name: str) -> str:
    """What two names have in common that some file system takes for one.

    >>> collision_key("Cafe\\u0301.WAV") == collision_key("café.wav")
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


# Fields


def _fields_of(template: str) -> set[str]:
    """The fields that a template names. Raises ExportError for others, and for what is no template."""
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ExportError(f"--name {template!r} cannot be read ({error}); {_known_fields()}") from None
    for _, name, spec, conversion in parsed:
        if name is not None and (name not in FIELDS or spec or conversion):
            told = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            raise ExportError(f"--name {template!r}: there is no field {{{told}}}; {_known_fields()}")
    return {name for _, name, _, _ in parsed if name is not None}


def _known_fields() -> str:
    return "fields are " + ", ".join(f"{{{name}}}" for name in FIELDS)


def _check_fields(files: Sequence[ExportFile], naming: Naming, used: set[str]) -> None:
    if "cat_id" in used:
        without = sorted({file.head.query_id for file in files if not file.head.ucs_cat_id})
        if without:
            raise ExportError(
                f"no UCS category is told for {examples(without)}: add `ucs:` to the query in the catalog, choose "
                "others with --query, or give a --name without {cat_id}"
            )
    if "creator_id" in used and not naming.creator_id:
        raise ExportError("the name asks for a creator and none is told: give --creator ID (UCS: your initials)")
    for option, value in (("--creator", naming.creator_id), ("--source-id", naming.source_id)):
        if value is not None and (not value.strip() or "_" in value):
            raise ExportError(f"{option} is {value!r}; UCS parts fields at '_': give one without, such as 'ABC'")
    if "rank" in used and any(file.rank is None for file in files):
        raise ExportError("only events have a rank: give --shape events, or a --name without {rank}")


def _values(files: Sequence[ExportFile], naming: Naming) -> list[dict[str, str]]:
    """The fields of every file."""
    parts = {file.head.source_uri: _parts(file.head.source_uri) for file in files}
    common = _common([path[:-1] for path in parts.values()])
    of_query = Counter(file.head.query_id for file in files)
    of_words = Counter(_title(file.head.query_text).casefold() for file in files)
    highest: dict[str, int] = defaultdict(int)
    for file in files:
        highest[file.head.query_id] = max(highest[file.head.query_id], file.rank or 0)
    seen: Counter[str] = Counter()
    seen_words: Counter[str] = Counter()
    values = []
    for file in files:
        row, words = file.head, _title(file.head.query_text)
        path = parts[row.source_uri]
        base, extension = posixpath.splitext(path[-1])
        source = base if row.track == 0 else f"{base}.track{row.track}"
        seen[row.query_id] += 1
        seen_words[words.casefold()] += 1
        number = str(seen_words[words.casefold()]).zfill(max(2, len(str(of_words[words.casefold()]))))
        values.append(
            {
                "source": source,
                "folder": "/".join(path[len(common) : -1]),
                "source_ext": extension.lstrip("."),
                "query": row.query_id,
                "track": str(row.track),
                "start": f"{file.span_seconds[0]:08.2f}",
                "end": f"{file.span_seconds[1]:08.2f}",
                "rank": str(file.rank or 0).zfill(len(str(highest[row.query_id]))),
                "n": str(seen[row.query_id]).zfill(len(str(of_query[row.query_id]))),
                "presence": "none" if file.presence is None else f"{file.presence:.2f}",
                "cat_id": row.ucs_cat_id or "",
                "fx_name": f"{words} {number}",
                "creator_id": naming.creator_id or "",
                "source_id": naming.source_id or source.replace("_", "-"),
                "ext": naming.ext,
            }
        )
    return values


def _parts(uri: str) -> list[str]:
    """Folders and name of a source; a member of an archive lies in a folder of the archive's name.

    >>> _parts("zip://a/b.wav::tar://in.zip::/x/c.tar"), _parts("s3://bucket/b.wav")
    (['x', 'c.tar', 'in.zip', 'a', 'b.wav'], ['s3', 'bucket', 'b.wav'])
    """
    *members, home = layers(uri)
    names = [home.replace("://", "/", 1), *(member.partition("://")[2] for member in reversed(members))]
    return [part for part in "/".join(names).split("/") if part]


def _common(folders: Sequence[Sequence[str]]) -> list[str]:
    """What all folders begin with."""
    common = list(folders[0])
    for folder in folders:
        length = next((i for i, (a, b) in enumerate(zip(common, folder, strict=False)) if a != b), len(folder))
        common = common[:length]
    return common


def _title(text: str) -> str:
    """The words of a query as UCS writes them: `A Dog Barking`; no '_', which parts the fields."""
    words = re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text)
    return " ".join(word[0].upper() + word[1:] for word in words) or "Sound"


# Names


def _render(template: str, values: Mapping[str, str]) -> str:
    """The template filled in; a component that is only an empty {folder} vanishes."""
    components = []
    for component in template.split("/"):
        text = ""
        for literal, name, _, _ in string.Formatter().parse(component):
            value = values[name] if name is not None else ""
            text += literal + (value if name == "folder" else value.replace("/", SLASH))
        if text or component != "{folder}":
            components.append(text)
    return "/".join(components)


def _replaced(component: str) -> str:
    """The component with `_` for what is not portable."""
    safe = NOT_PORTABLE.sub("_", component)
    if safe[-1:] in (".", " "):
        safe = safe[:-1] + "_"
    return re.sub(RESERVED, r"\1_\2", safe, count=1) if RESERVED.match(safe) else safe


def _unsafe(name: str) -> str | None:
    """Why a name cannot be, None when it can."""
    for component in name.split("/"):
        found = NOT_PORTABLE.search(component)
        size_bytes = len(component.encode())
        if not component:
            return "begins with '/', or has nothing between two"
        if component in (".", ".."):
            return f"{component!r} leads elsewhere"
        if found:
            shown = "/" if found[0] == SLASH else found[0]
            return f"{shown!r} cannot be part of a name everywhere"
        if component[-1] in ". ":
            return f"{component!r} ends with {component[-1]!r}, which Windows takes off"
        if RESERVED.match(component):
            return f"{component!r} is a device on Windows"
        if size_bytes > COMPONENT_BYTES:
            return f"a part of {size_bytes} bytes is longer than the {COMPONENT_BYTES} that a file system holds"
    return None


def _check_safe(names: Sequence[str], naming: Naming) -> None:
    endless = [name for name in names if not name.lower().endswith(f".{naming.ext}")]
    if endless:
        raise ExportError(f"--name {naming.template!r} gives {_shown(endless[0])!r}: end it with .{{ext}}")
    wrong = [f"{_shown(name)!r}: {reason}" for name in names if (reason := _unsafe(name)) is not None]
    if wrong:
        hint = "" if naming.replace_unsafe else ", or --replace-unsafe, which puts '_' for such characters"
        raise ExportError(f"{len(wrong)} names are not safe ({examples(wrong)}). Give another --name{hint}")


def _shown(name: str) -> str:
    return name.replace(SLASH, "/")


def _collisions(names: Sequence[str]) -> list[list[int]]:
    """Indices of files whose names are one to some system, or of which one is a folder of the other."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        groups[collision_key(name)].append(index)
    found = [group for group in groups.values() if len(group) > 1]
    for key, group in groups.items():
        above = posixpath.dirname(key)
        while above:
            if above in groups:
                found.append([groups[above][0], group[0]])
            above = posixpath.dirname(above)
    return found


def _collided(collisions: list[list[int]], values: Sequence[Mapping[str, str]], naming: Naming) -> str:
    told = []
    for one, other, *_ in collisions:
        first, second = _render(naming.template, values[one]), _render(naming.template, values[other])
        told.append(f"{_shown(first)} and {_shown(second)}" if first != second else f"twice {_shown(first)}")
    return (
        f"{len(collisions)} names collide ({examples(told)}); macOS and Windows tell neither capitals nor spellings of "
        f"accents apart. Give another --name, such as {_parting(values, naming)!r}"
    )


def _parting(values: Sequence[Mapping[str, str]], naming: Naming) -> str:
    """The first template near the given one that keeps all files apart."""
    template = naming.template
    tail = ".{ext}" if template.endswith(".{ext}") else ""
    trunk = template.removesuffix(".{ext}")
    wider = template.replace("{source}", "{source}_{source_ext}")
    for candidate in (f"{{folder}}/{template}", wider, f"{{folder}}/{wider}", f"{trunk}_{{query}}{tail}"):
        names = [_render(candidate, told) for told in values]
        if not _collisions(names) and all(_unsafe(name) is None for name in names):
            return candidate
    return f"{{query}}/{{n}}_{{source}}{tail}"
