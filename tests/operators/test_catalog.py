"""The catalog: what a user writes is understood, and what cannot be used is explained before any media is read."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from pydantic import ValidationError

from operators.catalog import Catalog, CatalogError, QuerySpec, load_catalog, ready_catalogs, slug


def written(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_everyday_is_ready_and_holds_the_sounds_it_promises() -> None:
    ids = {query.id for query in load_catalog("everyday").queries}
    assert ids >= {
        "dog", "rooster", "crying_baby", "helicopter", "chainsaw", "sea_waves",
        "speech", "rain", "clock_tick", "crackling_fire", "sneezing", "music",
    }  # fmt: skip


@pytest.mark.parametrize("name", ready_catalogs())
def test_every_ready_catalog_loads_and_words_each_query_at_least_twice(name: str) -> None:
    catalog = load_catalog(name)
    assert catalog.name == name
    assert all(2 <= len(query.text) <= 4 for query in catalog.queries)


def test_a_catalog_with_every_field_is_read_as_written(tmp_path: Path) -> None:
    (tmp_path / "bark.wav").write_bytes(b"bark")
    path = written(
        tmp_path,
        """
        name: yard
        queries:
          - id: dog
            text: [a dog barking, "  a dog   barks "]
            negative: a cat meowing
            audio: bark.wav
            negative_audio: [./bark.wav]
            threshold: 0.4
          - id: rain
            text: rain falling
        """,
    )
    catalog = load_catalog(path)
    dog, rain = catalog.queries
    assert (catalog.name, dog.id, rain.id) == ("yard", "dog", "rain")
    assert dog.text == ("a dog barking", "a dog barks")
    assert dog.negative == ("a cat meowing",)
    assert dog.audio == dog.negative_audio == (str(tmp_path / "bark.wav"),)
    assert (dog.threshold, rain.threshold) == (0.4, None)
    assert dog.query_text == "a dog barking"


def test_a_plain_list_of_texts_is_a_catalog_named_after_its_file(tmp_path: Path) -> None:
    catalog = load_catalog(written(tmp_path, "- a dog barking\n- The surf, at night!\n- text: a cow mooing\n"))
    assert catalog.name == "mine"
    assert [query.id for query in catalog.queries] == ["dog_barking", "surf_at_night", "cow_mooing"]


def test_a_query_of_exemplars_alone_is_called_after_them(tmp_path: Path) -> None:
    (tmp_path / "bark.wav").write_bytes(b"bark")
    (query,) = load_catalog(written(tmp_path, "- {id: dog, audio: bark.wav}")).queries
    assert query.query_text == "sounds like bark.wav"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the catalog is empty: add at least one query"),
        ("queries:", "the catalog is empty"),
        ("name: x", "there is no 'queries'"),
        ("just words", "expected a list of queries, found 'just words'"),
        ("- {id: dog, text: a}\n- {id: dog, text: b}", "the id 'dog' is used more than once"),
        ("- a dog barking\n- the dog barking", "the id 'dog_barking' is used more than once"),
        ("- {id: ../dog, text: a}", "'../dog' is not a usable id: 1 to 64 of a-z"),
        ("- {id: Dog Bark, text: a}", "'dog_bark' would do"),
        ("- {id: dog}", "query 1 ('dog'): there is neither text nor audio"),
        ("- {id: dog, text: []}", "neither text nor audio"),
        ("- {id: dog, text: ' '}", "query 1 ('dog'): text: an empty text says nothing"),
        (f"- {{id: dog, text: {'x' * 301}}}", "a text of 301 characters is more than the 300"),
        ("- {id: dog, text: 5}", "expected a text or a list, found 5"),
        ("- {id: dog, text: [yes]}", "expected text, found True: put it in quotes"),
        ("- {id: 7, text: a}", "expected text, found 7: put it in quotes"),
        ("- {text: [a dog barking]}", "there is no 'id'"),
        ("- 5", "query 1: expected a text or a mapping with id and text, found 5"),
        ("- {id: dog, text: a, threshold: 1.5}", "threshold is 1.5: it is a probability, give a number from 0 to 1"),
        ("- {id: dog, text: a, threshold: .nan}", "threshold is nan"),
        ("- {id: dog, text: a, threshold: high}", "threshold is 'high'"),
        ("- {id: dog, text: a, audio_weight: 1.5}", "audio_weight is 1.5: it is a share, give a number from 0 to 1"),
        ("- {id: dog, text: a, audio_weight: -1}", "query 1 ('dog'): audio_weight: audio_weight is -1"),
        ("- {id: dog, text: a, audio_weight: .nan}", "audio_weight is nan"),
        ("- {id: dog, text: a, audio_weight: loud}", "audio_weight is 'loud'"),
        (
            "- {id: dog, text: a, audio_weight: 0.8}",
            "audio_weight is 0.8, but no side has text and audio: add the other",
        ),
        ("- {id: dog, audio: a.wav, negative: b, audio_weight: 0}", "no side has text and audio"),
        ("- {id: dog, text: a, treshold: 0.5}", "unknown key 'treshold': did you mean 'threshold'?"),
        ("- {id: dog, text: a, colour: red}", "unknown key 'colour': known are id, text, negative"),
        ("querys: [a dog]\nqueries: [a dog]", "unknown key 'querys': did you mean 'queries'?"),
        ("- {id: dog, text: a dog, negative: A dog}", "'a dog' is both text and negative"),
        ("- {id: dog, audio: no.wav}", "no.wav' does not exist: audio is looked up beside the catalog file"),
        ("queries:\n  - id: dog\n   text: a dog", "line 3, column 4: not valid YAML"),
        ("- id: dog\n  text: a\n  text: b", "line 3, column 3: not valid YAML: the key 'text' is given twice"),
        ("- !!python/object:os.system {}", "not valid YAML"),
    ],
)
def test_what_cannot_be_used_is_explained(tmp_path: Path, content: str, said: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(CatalogError) as caught:
        load_catalog(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_every_fault_of_a_catalog_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(CatalogError) as caught:
        load_catalog(written(tmp_path, "- {id: dog, text: a, threshold: 2}\n- {id: cat}"))
    first, second = str(caught.value).splitlines()
    assert "query 1 ('dog')" in first
    assert "query 2 ('cat')" in second


def test_a_name_that_does_not_exist_brings_the_closest_ready_one() -> None:
    with pytest.raises(CatalogError, match=r"did you mean 'everyday'\?.*animals, everyday"):
        load_catalog("everday")


def test_a_folder_or_a_media_file_as_catalog_is_refused(tmp_path: Path) -> None:
    media = tmp_path / "clip.wav"
    media.write_bytes(bytes(range(256)))
    for path in (tmp_path, media):
        with pytest.raises(CatalogError):
            load_catalog(path)


def test_the_content_hash_follows_the_content_only(tmp_path: Path) -> None:
    (tmp_path / "one.wav").write_bytes(b"bark")
    (tmp_path / "copy.wav").write_bytes(b"bark")
    (tmp_path / "other.wav").write_bytes(b"meow")

    def content_hash(entry: str) -> str:
        return load_catalog(written(tmp_path, f"- {{{entry}}}")).queries[0].content_hash

    same = content_hash("id: dog, text: [a dog, a hound], audio: one.wav")
    assert same == content_hash("id: hound, text: [a  hound, a dog], audio: copy.wav, threshold: 0.2")
    different = [
        content_hash("id: dog, text: [a dog, a hound], audio: other.wav"),
        content_hash("id: dog, text: [a dog, a hound], negative_audio: one.wav"),
        content_hash("id: dog, text: [a dog, a hound]"),
        content_hash("id: dog, text: a dog, negative: a hound"),
    ]
    assert len({same, *different}) == 5


def test_the_weight_of_the_recordings_is_part_of_the_content_unless_it_is_even(tmp_path: Path) -> None:
    (tmp_path / "one.wav").write_bytes(b"bark")

    def query_of(entry: str) -> QuerySpec:
        return load_catalog(written(tmp_path, f"- {{id: dog, text: a dog, audio: one.wav{entry}}}")).queries[0]

    even, said, heavy, alone = (
        query_of(e) for e in ("", ", audio_weight: 0.5", ", audio_weight: 0.8", ", audio_weight: 1")
    )
    assert [query.audio_weight for query in (even, said, heavy, alone)] == [0.5, 0.5, 0.8, 1.0]
    assert even.content_hash == said.content_hash == "2cbc8e927e9a0e47"  # as before there was a weight
    assert len({even.content_hash, heavy.content_hash, alone.content_hash}) == 3
    mixed = "- {id: dog, text: a, negative: b, negative_audio: one.wav, audio_weight: 0.2}"
    assert load_catalog(written(tmp_path, mixed)).queries[0].audio_weight == 0.2  # one side that has both will do


def test_the_catalog_hash_ignores_name_and_order_but_not_ids_or_thresholds() -> None:
    dog, rain = QuerySpec(id="dog", text="a dog barking"), QuerySpec(id="rain", text="rain falling")
    one = Catalog(name="one", queries=(dog, rain)).content_hash
    assert one == Catalog(name="two", queries=(rain, dog)).content_hash
    assert one != Catalog(name="one", queries=(dog,)).content_hash
    assert one != Catalog(name="one", queries=(dog, rain.model_copy(update={"id": "drops"}))).content_hash
    assert (
        one != Catalog(name="one", queries=(dog, QuerySpec(id="rain", text="rain falling", threshold=0.5))).content_hash
    )


def test_a_catalog_is_frozen_and_travels_to_workers() -> None:
    catalog = load_catalog("animals")
    with pytest.raises(ValidationError):
        catalog.name = "other"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(catalog)) == catalog
    assert Catalog.model_validate_json(catalog.model_dump_json()) == catalog


def test_every_field_of_a_query_says_what_it_is() -> None:
    assert all(field.description for model in (QuerySpec, Catalog) for field in model.model_fields.values())


@pytest.mark.parametrize(
    ("text", "query_id"),
    [
        ("a dog barking", "dog_barking"),
        ("Applause!", "applause"),
        ("the", "the"),
        ("犬", "query"),
        ("x" * 99, "x" * 64),
    ],
)
def test_slug_makes_an_id_of_a_text(text: str, query_id: str) -> None:
    assert slug(text) == query_id
