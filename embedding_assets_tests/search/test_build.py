import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from embedding_assets.errors import (
    NotWritableError,
    SchemaError,
    StoreDamagedError,
    StoreLockedError,
)
from embedding_assets.search import build as building
from embedding_assets.search import manifest, tuning, vectors
from embedding_assets.search.build import (
    IndexOptions,
    IndexSource,
    build_index,
    build_without_forgotten,
    remove_versions_with,
    versions_with,
)
from embedding_assets.search.index import IndexVersion
from embedding_assets.search.manifest import read_manifest
from embedding_assets.search.rows import row_schema
from embedding_assets.search.snapshots import Snapshots
from embedding_assets_tests.search.collection import (
    ENCODER,
    MODEL,
    TEXTS,
    Collection,
    batch,
    of_other_model,
    rows,
)
from embedding_assets_tests.search.damage import SHAPES, edit_manifest, flip_byte, without_hashes


@pytest.fixture
def snapshots(tmp_path):
    return Snapshots(tmp_path / "index", lock_timeout_seconds=0.2)


def content(snapshots):
    """What the current version holds, by document: texts, titles and vectors."""
    version = IndexVersion.open(snapshots.path(snapshots.current()))
    found = {document["doc_id"]: [] for document in version.documents.to_pylist()}
    for row in range(version.manifest.rows):
        document = version.document_of(row)
        vector = version.vectors.take(np.array([row]))[0].tolist()
        found[document["doc_id"]].append((version.passages[row]["text"], document["title"], vector))
    return found


def expected(collection):
    return {
        doc_id: [
            (row["text"], row["title"], row["vector"])
            for row in rows(doc_id, texts, **collection.documents.get(doc_id, {}))
        ]
        for doc_id, texts in collection.texts.items()
    }


def test_an_index_holds_all_rows_of_all_documents(snapshots):
    collection = Collection(TEXTS, cake={"title": "Cake"})
    built = build_index(snapshots, collection.source)
    assert content(snapshots) == expected(collection)
    assert built.new and built.removed == ()
    assert built.manifest == read_manifest(snapshots.path(snapshots.current()))
    assert (built.manifest.rows, built.manifest.documents, built.manifest.reused) == (6, 3, 0)
    assert (built.manifest.method, built.manifest.model) == ("exact", MODEL)
    assert set(built.manifest.seconds) == {"rows", "keywords", "vectors", "hashes"}
    assert built.manifest.version == snapshots.current()


def test_nothing_is_built_when_nothing_changed(snapshots):
    collection = Collection(TEXTS)
    first = build_index(snapshots, collection.source)
    again = build_index(snapshots, Collection(dict(reversed(TEXTS.items()))).source)
    assert (again.new, again.manifest) == (False, first.manifest)
    assert snapshots.names() == [first.manifest.version]


def test_only_changed_documents_are_read_again(snapshots):
    build_index(snapshots, Collection(TEXTS, cake={"title": "Cake"}).source)
    changed = {"soup": TEXTS["soup"], "cake": TEXTS["cake"], "law": ["not guilty"], "tea": ["sip"]}
    collection = Collection(changed, cake={"title": "Cake"})
    built = build_index(snapshots, collection.source)
    assert collection.read == [["law", "tea"]]
    assert content(snapshots) == expected(collection)
    assert (built.manifest.reused, built.manifest.rows) == (5, 7)


def test_a_removed_document_is_gone_and_nothing_is_read(snapshots):
    build_index(snapshots, Collection(TEXTS).source)
    collection = Collection({key: TEXTS[key] for key in ("soup", "law")})
    build_index(snapshots, collection.source)
    assert collection.read == []
    assert content(snapshots) == expected(collection)


def test_a_document_without_text_is_known_and_not_read_again(snapshots):
    build_index(snapshots, Collection({**TEXTS, "scan": []}).source)
    collection = Collection({**TEXTS, "scan": [], "tea": ["sip"]})
    built = build_index(snapshots, collection.source)
    assert collection.read == [["tea"]]
    assert (built.manifest.documents, content(snapshots)["scan"]) == (5, [])


def test_an_index_of_nothing_is_an_empty_version(snapshots):
    build_index(snapshots, Collection(TEXTS).source)
    built = build_index(snapshots, Collection({}).source)
    assert (built.manifest.rows, built.manifest.documents, content(snapshots)) == (0, 0, {})


def test_an_approximate_index_is_taken_over_too(snapshots, monkeypatch):
    monkeypatch.setattr(tuning, "_FIRST_CANDIDATES", 20)
    monkeypatch.setattr(vectors, "_CANDIDATES_PER_HIT", 1)
    words = "boil bake cool serve eat slice stir pour".split()
    texts = {
        f"d{n}": [f"{words[n % 8]} {words[(n + p) % 8]} {words[p % 8]} {n % 40}" for p in range(20)]
        for n in range(200)
    }
    options = IndexOptions(exact_up_to_rows=100)
    first = build_index(snapshots, Collection(texts).source, options).manifest
    assert first.method == "approximate"
    assert 0 < first.candidates < 4_000 and first.cells > 0
    assert min(first.recall_at_10.values()) >= 0.98
    collection = Collection({**texts, "d7": ["boil"]})
    second = build_index(snapshots, collection.source, options).manifest
    assert collection.read == [["d7"]] and second.reused == 3_980
    assert content(snapshots) == expected(collection)


def test_another_model_takes_nothing_over(snapshots):
    build_index(snapshots, Collection(TEXTS).source)
    encoder, model = of_other_model()
    collection = Collection(TEXTS, model, encoder)
    built = build_index(snapshots, collection.source)
    assert collection.read == [["soup", "cake", "law"]]
    assert (built.manifest.model, built.manifest.reused) == (model, 0)


def test_a_renamed_model_version_is_a_new_index_of_the_same_rows(snapshots):
    build_index(snapshots, Collection(TEXTS).source)
    collection = Collection(TEXTS, replace(MODEL, version="8"))
    built = build_index(snapshots, collection.source)
    assert (built.new, built.manifest.reused, collection.read) == (True, 6, [])


def test_another_threshold_is_a_new_index(snapshots):
    build_index(snapshots, Collection(TEXTS).source)
    assert build_index(snapshots, Collection(TEXTS).source, IndexOptions(5)).new


def test_forgotten_documents_are_left_out(snapshots):
    build_index(snapshots, Collection(TEXTS).source)
    snapshots.tombstones.add(["cake"])
    collection = Collection(TEXTS)
    assert build_index(snapshots, collection.source).new
    assert (set(content(snapshots)), collection.read) == ({"soup", "law"}, [])


def test_versions_with_a_forgotten_document_are_removed_once_another_is_served(snapshots):
    first = build_index(snapshots, Collection({"law": TEXTS["law"]}).source).manifest.version
    second = build_index(snapshots, Collection(TEXTS).source).manifest.version
    assert remove_versions_with(snapshots, ["cake"]) == []
    assert versions_with(snapshots, ["cake", "x"]) == [second]
    snapshots.tombstones.add(["cake"])
    third = build_index(snapshots, Collection(TEXTS).source).manifest.version
    assert remove_versions_with(snapshots, ["cake"]) == [second]
    assert snapshots.names() == [first, third]
    assert versions_with(snapshots, ["cake"]) == []


def test_a_version_that_cannot_be_read_may_hold_any_document(snapshots):
    first = build_index(snapshots, Collection(TEXTS).source).manifest.version
    (snapshots.path(first) / "documents.arrow").write_bytes(b"torn")
    assert versions_with(snapshots, ["nobody"]) == [first]


def test_a_version_whose_documents_have_changed_may_hold_any_document(snapshots):
    first = build_index(snapshots, Collection(TEXTS).source).manifest.version
    path = snapshots.path(first) / "documents.arrow"
    path.write_bytes(path.read_bytes().replace(b"cakelaw", b"bakelaw"))
    assert versions_with(snapshots, ["cake"]) == [first]


def test_old_versions_are_swept(snapshots):
    names = []
    for n in range(4):
        built = build_index(
            snapshots, Collection({"a": [f"text {n}"]}).source, IndexOptions(keep=2)
        )
        names.append(built.manifest.version)
    assert built.removed == (names[1],)
    assert snapshots.names() == names[2:] == sorted(names)[2:]


@pytest.mark.parametrize(
    "name", ["vectors.f32", "passages.arrow", "documents.arrow", "manifest.json", "keywords"]
)
def test_a_damaged_version_is_built_again_from_the_source(snapshots, name):
    first = build_index(snapshots, Collection(TEXTS).source).manifest.version
    path = snapshots.path(first) / name
    path = path / "keyword.json" if path.is_dir() else path
    path.write_bytes(path.read_bytes()[:-2])
    collection = Collection(TEXTS)
    assert build_index(snapshots, collection.source).new
    assert content(snapshots) == expected(collection)
    assert collection.read == [["soup", "cake", "law"]]


FILES = [
    "vectors.f32", "mean.npy", "passages.arrow", "documents.arrow", "keywords/impacts.npy",
    "keywords/vocabulary.txt",
]  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_byte_that_turned_is_found_and_nothing_is_taken_over_from_that_version(snapshots, name):
    first = build_index(snapshots, Collection(TEXTS).source).manifest
    assert set(first.files) >= set(FILES)
    flip_byte(snapshots.path(first.version) / name)
    with pytest.raises(StoreDamagedError, match=f"{first.version}.*{name} is not as it was"):
        content(snapshots)
    collection = Collection({**TEXTS, "tea": ["sip"]})
    assert build_index(snapshots, collection.source).manifest.reused == 0
    assert content(snapshots) == expected(collection)
    assert collection.read == [[*TEXTS, "tea"]]


def test_vectors_without_a_number_are_found(snapshots):
    build_index(snapshots, Collection(TEXTS).source)
    path = snapshots.path(snapshots.current()) / "vectors.f32"
    path.write_bytes(b"\xff" * path.stat().st_size)
    with pytest.raises(StoreDamagedError, match="vectors.f32"):
        content(snapshots)


def test_a_version_from_before_hashes_is_opened_and_the_next_one_has_them(snapshots):
    first = build_index(snapshots, Collection(TEXTS).source).manifest
    without_hashes(snapshots.path(first.version))
    assert content(snapshots) == expected(Collection(TEXTS))
    assert not build_index(snapshots, Collection(TEXTS).source).new
    collection = Collection({**TEXTS, "tea": ["sip"]})
    built = build_index(snapshots, collection.source).manifest
    assert (built.reused, collection.read) == (6, [["tea"]])
    assert set(built.files) >= set(FILES)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_manifest_of_another_shape_is_refused_by_name(snapshots, shape):
    build_index(snapshots, Collection(TEXTS).source)
    (snapshots.path(snapshots.current()) / "manifest.json").write_text(shape)
    with pytest.raises(StoreDamagedError, match=snapshots.current()):
        content(snapshots)


@pytest.mark.parametrize(
    "change",
    [{"files": None}, {"files": ["passages.arrow"]}, {"files": {"passages.arrow": 5}},
     {"model": []}, {"model": None}, {"rows": "6"}, {"seconds": 1}, {"version": "other"},
     {"filez": {}}],
)  # fmt: skip
def test_a_manifest_with_an_entry_of_another_shape_is_refused_by_name(snapshots, change):
    build_index(snapshots, Collection(TEXTS).source)
    edit_manifest(snapshots.path(snapshots.current()), **change)
    with pytest.raises(StoreDamagedError, match=snapshots.current()):
        content(snapshots)


def test_going_back_to_a_damaged_version_is_refused_by_name(snapshots):
    first = build_index(snapshots, Collection({"law": TEXTS["law"]}).source).manifest.version
    second = build_index(snapshots, Collection(TEXTS).source).manifest.version
    flip_byte(snapshots.path(first) / "vectors.f32")
    with pytest.raises(StoreDamagedError, match=f"Version {first} is not served.*vectors.f32"):
        snapshots.rollback(IndexVersion.open)
    assert snapshots.current() == second


def test_the_format_of_another_release_is_not_taken_over(snapshots, monkeypatch):
    build_index(snapshots, Collection(TEXTS).source)
    monkeypatch.setattr(building, "INDEX_CODE", "next")
    monkeypatch.setattr("embedding_assets.search.index.INDEX_CODE", "next")
    assert manifest.INDEX_CODE != "next"
    collection = Collection(TEXTS)
    assert build_index(snapshots, collection.source).new
    assert collection.read == [["soup", "cake", "law"]]


def failing(collection, error):
    def read(doc_ids):
        yield batch(rows("soup", TEXTS["soup"]))
        raise error

    return replace(collection.source, rows=read)


def test_a_build_that_fails_leaves_the_old_version_served(snapshots):
    first = build_index(snapshots, Collection({"law": TEXTS["law"]}).source).manifest.version
    with pytest.raises(KeyError):
        build_index(snapshots, failing(Collection(TEXTS), KeyError("gone")))
    assert (snapshots.current(), snapshots.names()) == (first, [first])


def test_two_builds_do_not_meet(snapshots):
    with snapshots.locked(), pytest.raises(StoreLockedError):
        build_index(snapshots, Collection(TEXTS).source)


def test_a_folder_that_cannot_be_written_is_a_named_error(tmp_path):
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "versions").write_text("a file")
    with pytest.raises(NotWritableError, match="versions"):
        build_index(Snapshots(tmp_path / "index"), Collection(TEXTS).source)


class TestRows:
    def built(self, snapshots, *batches):
        source = IndexSource(MODEL, {"soup": "1", "law": "1"}, lambda doc_ids: batches)
        return build_index(snapshots, source)

    def test_a_missing_column_is_named(self, snapshots):
        found = batch(rows("soup", ["hot"])).drop_columns(["pages", "path"])
        with pytest.raises(SchemaError, match="lack pages, path"):
            self.built(snapshots, found)

    def test_types_are_adapted_where_nothing_is_lost(self, snapshots):
        found = rows("soup", ["hot"])
        loose = pa.RecordBatch.from_pylist(found).append_column("more", pa.array([1]))
        assert loose.schema.field("vector").type == pa.list_(pa.float64())
        assert self.built(snapshots, loose).manifest.rows == 1

    def test_vectors_of_another_length_are_refused(self, snapshots):
        short = [{**row, "vector": row["vector"][:5]} for row in rows("soup", ["hot"])]
        with pytest.raises(SchemaError, match="other types"):
            self.built(snapshots, pa.RecordBatch.from_pylist(short))

    @pytest.mark.parametrize("column", ["chunk_id", "text", "doc_id", "vector"])
    def test_nulls_are_refused(self, snapshots, column):
        found = batch([{**row, column: None} for row in rows("soup", ["hot"])])
        with pytest.raises(SchemaError, match=f"column {column}.*nulls"):
            self.built(snapshots, found)

    def test_vectors_that_are_not_finite_are_refused(self, snapshots):
        found = batch([{**row, "vector": [float("nan")] * 32} for row in rows("soup", ["hot"])])
        with pytest.raises(SchemaError, match="not finite"):
            self.built(snapshots, found)

    def test_rows_of_a_document_that_are_apart_are_refused(self, snapshots):
        soup, law = batch(rows("soup", ["hot"])), batch(rows("law", ["guilty"]))
        with pytest.raises(ValueError, match="soup.*side by side"):
            self.built(snapshots, soup, law, soup)

    def test_a_document_may_stretch_over_batches(self, snapshots):
        both = batch(rows("soup", ["hot", "cold"]) + rows("law", ["guilty"]))
        built = self.built(snapshots, both.slice(0, 1), both.slice(1, 0), both.slice(1))
        assert (built.manifest.rows, built.manifest.documents) == (3, 2)
        assert [len(texts) for texts in content(snapshots).values()] == [2, 1]

    def test_a_document_that_was_not_asked_for_is_refused(self, snapshots):
        with pytest.raises(ValueError, match="tea"):
            self.built(snapshots, batch(rows("tea", ["sip"])))


def test_rows_beyond_one_batch_keep_their_order(snapshots):
    texts = {f"d{n}": [f"text {n} {p}" for p in range(700)] for n in range(14)}
    build_index(snapshots, Collection(texts).source)
    collection = Collection({**texts, "d3": ["new"], "d8": []})
    build_index(snapshots, collection.source)
    found = {key: [row[0] for row in value] for key, value in content(snapshots).items()}
    assert found == collection.texts


def test_the_manifest_is_json_for_people(snapshots):
    build_index(snapshots, Collection(TEXTS).source)
    entry = json.loads((snapshots.path(snapshots.current()) / "manifest.json").read_text())
    assert entry["model"]["fingerprint"] == ENCODER.fingerprint
    assert entry["recall_at_10"]["filter_1_percent"] == 1.0


def test_the_schema_of_rows_names_passage_document_and_vector():
    assert row_schema(3).names[-1] == "vector" and len(row_schema(3)) == 14


@pytest.mark.parametrize("gone", ["soup", "cake", "law"])
def test_a_version_without_the_forgotten_holds_no_byte_of_them(snapshots, gone):
    texts = {key: [f"{key} secret {text}" for text in value] for key, value in TEXTS.items()}
    build_index(snapshots, Collection(texts).source)
    before = snapshots.current()
    snapshots.tombstones.add([gone])
    built = build_without_forgotten(snapshots, IndexOptions())
    assert built.new
    assert snapshots.current() == built.manifest.version != before
    assert content(snapshots).keys() == texts.keys() - {gone}
    assert built.manifest.model == MODEL
    files = [path for path in snapshots.path(snapshots.current()).rglob("*") if path.is_file()]
    assert not any(f"{gone} secret".encode() in path.read_bytes() for path in files)
    assert not build_without_forgotten(snapshots, IndexOptions()).new


def test_without_an_index_that_can_be_read_there_is_nothing_to_build_without(snapshots):
    assert build_without_forgotten(snapshots, IndexOptions()) is None
    build_index(snapshots, Collection(TEXTS).source)
    (snapshots.path(snapshots.current()) / "passages.arrow").write_bytes(b"torn")
    assert build_without_forgotten(snapshots, IndexOptions()) is None
