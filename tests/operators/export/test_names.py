from __future__ import annotations

import unicodedata

import pytest

from operators.export.names import DEFAULTS, UCS_TEMPLATE, Naming, name_files
from operators.export.plan import ExportFile
from operators.export.selection import ExportError, StemRow


def file(
    uri: str = "/m/walk.wav",
    query: str = "dog",
    *,
    track: int = 0,
    start: float = 0.0,
    text: str = "a dog barking",
    cat_id: str | None = "ANMLDog",
    rank: int | None = None,
) -> ExportFile:
    row = StemRow(
        "u", 0, 0, f"{uri}{query}{start}", uri, track, query, text, cat_id, (), start, start + 1, 8000, 1, None, None,
        0.9, -6.0, 0.0, (),
    )  # fmt: skip
    return ExportFile((row,), row.start, row.stop, (start, start + 1), 0.9, rank)


def names(files: list[ExportFile], template: str, **naming: object) -> list[str]:
    return name_files(files, Naming(template, "wav", **naming))  # type: ignore[arg-type]


def test_stems_lie_in_a_folder_per_source_and_track() -> None:
    files = [file(), file(query="rain"), file(track=1)]
    assert names(files, DEFAULTS["stems"]) == ["walk/dog.wav", "walk/rain.wav", "walk.track1/dog.wav"]


def test_events_lie_in_a_folder_per_query_with_their_start() -> None:
    assert names([file(start=12.4)], DEFAULTS["events"]) == ["dog/walk_00012.40.wav"]


@pytest.mark.parametrize(
    "uri",
    [
        "tar://a/b.wav::/x/c.tar",
        "zip://b.wav::tar://in.zip::s3://k/c.tar",
        "zip://a/b.wav::/x/c.zip",
        "s3://bucket/a/b.wav",
        "/x/b.wav",
    ],
)
def test_a_member_of_an_archive_is_named_like_a_file(uri: str) -> None:
    assert names([file(uri)], "{source}-{source_ext}-{track}.{ext}") == ["b-wav-0.wav"]


def test_the_folder_begins_below_what_all_sources_share_and_vanishes_where_there_is_none() -> None:
    files = [file("/m/a/x.wav"), file("/m/a/deep/er/x.wav"), file("tar://in/x.wav::/m/a/c.tar")]
    assert names(files, "{folder}/{source}.{ext}") == ["x.wav", "deep/er/x.wav", "c.tar/in/x.wav"]


def test_ranks_and_numbers_have_one_width_so_that_they_sort() -> None:
    files = [file(start=float(k), rank=12 - k) for k in range(12)]
    assert names(files, "{n}_{rank}.{ext}")[:2] == ["01_12.wav", "02_11.wav"]


def test_two_sources_of_one_name_collide_and_the_template_that_is_proposed_parts_them() -> None:
    files = [file("/m/a/x.wav"), file("/m/b/x.wav")]
    with pytest.raises(ExportError, match="collide") as caught:
        names(files, DEFAULTS["stems"])
    proposed = str(caught.value).rpartition("such as '")[2].rstrip("'")
    assert names(files, proposed) == ["a/x/dog.wav", "b/x/dog.wav"]


def test_two_formats_of_one_recording_collide_and_the_template_that_is_proposed_parts_them() -> None:
    files = [file("/m/x.wav"), file("/m/x.mp3"), file("/m/x.wav", start=4.0)]
    with pytest.raises(ExportError, match="collide") as caught:
        names(files, "{query}/{source}.{ext}")
    proposed = str(caught.value).rpartition("such as '")[2].rstrip("'")
    assert len(set(names(files, proposed))) == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Rain", "rain"),
        (unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")),
        (unicodedata.normalize("NFC", "CAFÉ"), unicodedata.normalize("NFD", "café")),
    ],
)
def test_names_that_macos_or_windows_take_for_one_collide(one: str, other: str) -> None:
    with pytest.raises(ExportError, match="collide"):
        names([file(f"/m/{one}.wav"), file(f"/m/{other}.wav")], "{source}.{ext}")


def test_a_file_in_the_place_of_a_folder_collides() -> None:
    with pytest.raises(ExportError, match="collide"):
        names([file("/m/x.wav"), file("/m/x.wav/y.wav")], "{folder}/{source}.{ext}")


UNSAFE = [*(f"a{character}b" for character in '<>:"|?*\\\x01\n\x7f'), "CON", "nul.take2", "Lpt1", "com¹"]


@pytest.mark.parametrize("source", UNSAFE)
def test_a_name_that_windows_cannot_hold_is_refused_or_replaced(source: str) -> None:
    files = [file(f"/m/{source}.wav")]
    with pytest.raises(ExportError, match="--replace-unsafe"):
        names(files, "{source}.{ext}")
    (name,) = names(files, "{source}.{ext}", replace_unsafe=True)
    assert name == name_files([file(f"/m/{name}")], Naming("{source}.{ext}", "wav"))[0]
    assert "_" in name


@pytest.mark.parametrize("folder", ["ends.", "ends ", "aux"])
def test_a_folder_that_windows_cannot_hold_is_refused_or_replaced(folder: str) -> None:
    files = [file(f"/m/{folder}/x.wav"), file("/m/y.wav")]
    with pytest.raises(ExportError, match="not safe"):
        names(files, "{folder}/{source}.{ext}")
    assert names(files, "{folder}/{source}.{ext}", replace_unsafe=True)[0].startswith(f"{folder.rstrip('. ')}_/")


@pytest.mark.parametrize(
    "template",
    ["../{source}.{ext}", "a/../{source}.{ext}", "./{source}.{ext}", "/tmp/{source}.{ext}", "a//{source}.{ext}"],
)
def test_a_template_that_leads_elsewhere_is_refused(template: str) -> None:
    with pytest.raises(ExportError, match="not safe"):
        names([file()], template)


def test_a_slash_inside_of_a_field_makes_no_folder() -> None:
    with pytest.raises(ExportError, match="not safe") as caught:
        names([file()], "{source_id}.{ext}", source_id="x/../y")
    assert "'/'" in str(caught.value)
    assert names([file()], "{source_id}.{ext}", source_id="x/y", replace_unsafe=True) == ["x_y.wav"]


def test_a_part_longer_than_a_file_system_holds_is_refused_in_bytes_not_in_characters() -> None:
    assert names([file(f"/m/{'ä' * 125}.wav")], "{source}.{ext}")
    with pytest.raises(ExportError, match="260 bytes"):
        names([file(f"/m/{'ä' * 128}.wav")], "{source}.{ext}", replace_unsafe=True)


@pytest.mark.parametrize(
    "template", ["{sorce}.{ext}", "{source:>9}.{ext}", "{source!r}.{ext}", "{}.{ext}", "{source.{ext}"]
)
def test_what_is_no_field_is_refused_with_the_list_of_fields(template: str) -> None:
    with pytest.raises(ExportError, match=r"fields are \{source\}, \{folder\}"):
        names([file()], template)


@pytest.mark.parametrize("template", ["{source}", "{source}.mp3", "index.csv"])
def test_a_name_ends_as_its_format_does(template: str) -> None:
    with pytest.raises(ExportError, match="end it with"):
        names([file()], template)


def test_only_events_have_a_rank() -> None:
    with pytest.raises(ExportError, match="--shape events"):
        names([file()], "{rank}.{ext}")


def test_ucs_names_have_four_fields_and_a_number_that_keeps_them_apart() -> None:
    files = [
        file("/m/my_take.wav", start=0.0),
        file("/m/my_take.wav", start=3.0),
        file(query="dog2", text="A dog barking!"),
    ]
    told = names(files, UCS_TEMPLATE, creator_id="ABC")
    assert told == [
        "ANMLDog_A Dog Barking 01_ABC_my-take.wav",
        "ANMLDog_A Dog Barking 02_ABC_my-take.wav",
        "ANMLDog_A Dog Barking 03_ABC_walk.wav",
    ]
    assert all(name.count("_") == 3 for name in told)
    assert names(files[:1], UCS_TEMPLATE, creator_id="ABC", source_id="LIB")[0].endswith("_ABC_LIB.wav")


def test_ucs_names_need_a_creator_and_a_category_of_every_query() -> None:
    with pytest.raises(ExportError, match="--creator"):
        names([file()], UCS_TEMPLATE)
    with pytest.raises(ExportError, match="parts fields at '_'"):
        names([file()], UCS_TEMPLATE, creator_id="A_B")
    with pytest.raises(ExportError, match="told for rain, wind"):
        names([file(), file(query="wind", cat_id=None), file(query="rain", cat_id=None)], UCS_TEMPLATE, creator_id="A")


@pytest.mark.parametrize(
    "uri",
    [
        "zip://a::b.wav::/x/mid.zip",
        "tar://in/a::b.wav::zip://odd::name.zip::s3://k/mid.tar",
        "zip://a::b.wav::tar://deep/in.tar::/x/mid.zip",
    ],
)
def test_a_member_whose_name_holds_colons_keeps_it(uri: str) -> None:
    assert names([file(uri)], "{source}.{ext}", replace_unsafe=True) == ["a__b.wav"]
    other = uri.replace("a::b.wav", "c.wav")
    told = names([file(uri), file(other)], "{folder}/{source}.{ext}", replace_unsafe=True)
    assert told == ["a__b.wav", "c.wav"]
