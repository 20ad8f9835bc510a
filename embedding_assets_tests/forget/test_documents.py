import json
from dataclasses import replace

import dagster as dg
import pytest

from embedding_assets.defs.document_sync import sync, unregister
from embedding_assets.defs.resources import configured_workspace
from embedding_assets.documents.slices import QUARANTINED_DOCUMENT_SCHEMA
from embedding_assets.documents.table import chunks_from
from embedding_assets.embedding.store import text_keys
from embedding_assets.errors import InputNotFoundError, NotFoundError
from embedding_assets.forget import forget_document, receipt_text
from embedding_assets.ingest import ingest_document
from embedding_assets.search import build
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, table_slice
from embedding_assets_tests.forget.traces import traces

SHARED = "Everybody says this."
WORDS = ("Xylophone", "xylophone", "Quagga", "quagga")


def put(place, name, *paragraphs):
    path = place.documents / name
    path.write_text(json.dumps({"title": f"About {name}", "body": [*paragraphs]}))
    return path


def put_pair(place, doc_id, text):
    texts = [{"text": text, "pages": ["p"]}]
    (place.documents / f"texts_{doc_id}.json").write_text(json.dumps(texts))
    (place.documents / f"pages_{doc_id}.csv").write_text("id,pg_num\np,0\n")


def synced():
    return sync(configured_workspace(), register_only=False, say=lambda line: None)


def found(query, mode="keyword"):
    hits = configured_workspace().library.search.search(query, mode=mode)
    return {hit.doc_id for hit in hits}


def counts(receipt):
    return {(step.place, step.what): step.count for step in receipt.steps if step.count}


def forget(doc_id, **options):
    return forget_document(configured_workspace(), doc_id, **{"delete_source": False, **options})


@pytest.fixture(scope="module")
def stocked_once(registered, tmp_path_factory):
    """Two documents in the index, of which one, secret.json, has changed once: so there are two
    versions that hold it."""
    place = registered.copy(tmp_path_factory.mktemp("stocked") / "place")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in place.environment.items():
            patch.setenv(name, value)
        put(place, "open.json", "Nothing to hide here.", SHARED)
        put(place, "secret.json", "The quagga was drawn.", SHARED)
        synced()
        put(place, "secret.json", "The Xylophone is stolen.", SHARED)
        synced()
    return place


@pytest.fixture
def place(stocked_once, tmp_path, monkeypatch):
    place = stocked_once.copy(tmp_path / "place")
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    return place


def test_nothing_below_the_data_folder_holds_a_forgotten_document(place):
    assert found("xylophone") == {"secret.json"}
    kinds = {path.split("/")[0] for path in traces(place.data_dir, *WORDS)}
    assert kinds == {"assets", "index"}
    forget("secret.json")
    assert traces(place.data_dir, *WORDS) == []
    assert traces(place.data_dir, "secret.json") == ["index/documents/tombstones.json"]
    assert (place.documents / "secret.json").exists()


def test_searches_in_every_mode_find_the_others_alone(place):
    search = configured_workspace().library.search
    assert {hit.doc_id for hit in search.search("everybody says")} == {"open.json", "secret.json"}
    forget("secret.json")
    for mode in ("keyword", "semantic", "hybrid"):
        assert {hit.doc_id for hit in search.search("everybody says", mode)} == {"open.json"}
    assert found("xylophone quagga") == set()


def test_no_version_to_roll_back_to_holds_it(place):
    library = configured_workspace().library
    assert len(library.versions()) == 2
    forget("secret.json")
    for name in library.snapshots.names():
        held = build.read_documents(library.snapshots.path(name))["doc_id"].to_pylist()
        assert held == ["open.json"]
    with pytest.raises(NotFoundError):
        library.roll_back()


def test_neither_a_sync_nor_a_change_of_its_file_brings_it_back(place):
    forget("secret.json")
    put(place, "secret.json", "The Xylophone is back.")
    put(place, "third.json", "A third one.")
    done = synced()
    assert (done.documents, done.to_run) == (2, 1)
    assert found("third") == {"third.json"}
    assert found("xylophone") == set()
    assert traces(place.data_dir, *WORDS) == []


def test_afterwards_nothing_is_to_be_run(place):
    forget("secret.json", unregister=unregister)
    library = configured_workspace().library
    work = library.work(library.inventory())
    assert (work.keys, work.deleted, work.index_is_stale) == (frozenset(), frozenset(), False)
    assert synced().run_id is None


def test_a_file_with_another_name_is_another_document(place):
    path = place.documents / "secret.json"
    forget("secret.json")
    path.rename(place.documents / "renamed.json")
    synced()
    assert found("xylophone") == {"renamed.json"}


def chunk_keys(doc_id):
    workspace = configured_workspace()
    texts = [chunk.text_for_embedding for chunk in chunks_from(chunk_rows(doc_id))]
    return text_keys(texts, workspace.fingerprint)


def chunk_rows(doc_id):
    return configured_workspace().table("doc_chunks").read(doc_id)


def test_the_vectors_of_its_texts_go_and_those_that_others_need_stay(place):
    vectors = configured_workspace().vectors
    [now] = chunks_from(chunk_rows("secret.json"))
    before = replace(
        now, text=now.text.replace("The Xylophone is stolen.", "The quagga was drawn.")
    )
    own = text_keys([now.text_for_embedding, before.text_for_embedding], vectors.fingerprint)
    kept = chunk_keys("open.json")
    assert vectors.contains(own).all()
    assert len(set(own)) == 2
    receipt = forget("secret.json")
    assert not vectors.contains(own).any()
    assert vectors.contains(kept).all()
    assert counts(receipt)["vectors", "computed vectors removed"] == 2


def test_a_vector_that_two_documents_share_stays(place):
    for name in ("one.json", "two.json"):
        path = put(place, name, "The quagga in common.")
        path.write_text(path.read_text().replace(f"About {name}", "About both"))
    synced()
    keys = chunk_keys("one.json")
    assert keys.tolist() == chunk_keys("two.json").tolist()
    assert counts(forget("one.json")).get(("vectors", "computed vectors removed")) is None
    vectors = configured_workspace().vectors
    assert vectors.contains(keys).all()
    assert found("common") == {"two.json"}
    forget("two.json")
    assert not vectors.contains(keys).any()


def test_the_key_is_no_partition_of_dagster_any_more(place):
    with dg.DagsterInstance.get() as instance:
        assert "secret.json" in instance.get_dynamic_partitions("doc_id")
    receipt = forget("secret.json", unregister=unregister)
    with dg.DagsterInstance.get() as instance:
        assert instance.get_dynamic_partitions("doc_id") == ["open.json"]
    assert [step.count for step in receipt.steps if step.place == "Dagster"] == [1]


def test_the_receipt_tells_what_went_where_and_is_kept_without_the_id(place):
    receipt = forget("secret.json")
    assert counts(receipt) == {
        ("tombstones", "listed: no search, rollback or run returns it"): 1,
        ("document_index", "published without it"): 1,
        ("document_index", "versions removed"): 2,
        ("documents", "partitions removed"): 1,
        ("doc_chunks", "partitions removed"): 1,
        ("doc_vectors", "partitions removed"): 1,
        ("document_files", "rows removed"): 1,
        ("vectors", "computed vectors removed"): 2,
        ("warehouse", "published anew"): 1,
    }
    assert receipt_text(receipt).startswith("The document secret.json is forgotten (")
    [kept] = (place.data_dir / "forgotten" / "receipts").iterdir()
    assert json.loads(kept.read_text())["kind"] == "document"
    assert "secret" not in kept.read_text()


def test_the_same_command_again_finds_nothing_and_is_no_error(place):
    forget("secret.json")
    assert counts(forget("secret.json")) == {("warehouse", "published anew"): 1}


def test_an_unknown_document_is_an_error_that_leaves_nothing(place):
    with pytest.raises(NotFoundError, match="No document 'nothing.json' is known"):
        forget("nothing.json")
    assert not (place.data_dir / "index" / "documents" / "tombstones.json").exists()


def test_a_document_that_was_never_read_is_never_read(place):
    put(place, "new.json", "Another quagga.")
    forget("new.json")
    synced()
    assert found("another") == set()


def test_a_quarantined_document_leaves_the_quarantine(place):
    (place.documents / "bad.json").write_text('{"body": [')
    synced()
    query = "SELECT doc_id FROM quarantined_documents"
    assert place.warehouse(query) == [("bad.json",)]
    receipt = forget("bad.json")
    assert counts(receipt)["quarantined_documents", "partitions removed"] == 1
    assert place.warehouse(query) == []
    assert synced().quarantined == 0


def test_the_source_is_deleted_when_asked_both_halves_of_a_pair(place):
    put_pair(place, "12345", "A quagga in two halves.")
    synced()
    forget("secret.json", delete_source=True)
    receipt = forget("12345", delete_source=True)
    assert counts(receipt)["source", "files deleted"] == 2
    assert [path.name for path in place.documents.iterdir()] == ["open.json"]


def test_what_ingest_wrote_of_a_pair_goes_and_is_not_written_again(place):
    put_pair(place, "12345", "A quagga in two halves.")
    ingest_document("12345")
    assert traces(place.data_dir, "quagga in two") == ["ingested/12345.parquet"]
    receipt = forget("12345")
    assert counts(receipt)["ingested", "files removed"] == 1
    assert traces(place.data_dir, "quagga in two") == []
    with pytest.raises(NotFoundError, match="'12345' was forgotten"):
        ingest_document("12345")
    with pytest.raises(InputNotFoundError):
        ingest_document("54321")


def test_the_folder_of_documents_may_be_gone(place):
    for path in place.documents.iterdir():
        path.unlink()
    place.documents.rmdir()
    forget("secret.json", delete_source=True)
    assert traces(place.data_dir, *WORDS) == []


def test_a_model_that_cannot_be_loaded_hinders_nothing(place, monkeypatch):
    monkeypatch.setenv("EMBEDDING_ASSETS_MODEL__NAME", str(place.folder / "no-such-model"))
    forget("secret.json")
    assert traces(place.data_dir, *WORDS) == []


def test_an_index_that_cannot_be_read_is_built_anew(place):
    library = configured_workspace().library
    (library.snapshots.path(library.snapshots.current()) / "passages.arrow").write_bytes(b"torn")
    forget("secret.json")
    assert found("nothing to hide") == {"open.json"}
    assert traces(place.data_dir, *WORDS) == []


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("embedding_assets.forget.documents", "build_without_forgotten"),
        ("embedding_assets.forget.documents", "remove_versions_with"),
        ("embedding_assets.forget.documents", "table_slice"),
        ("embedding_assets.forget.vectors", "VectorStore"),
        ("embedding_assets.forget.documents", "sweep_staged"),
        ("embedding_assets.forget.documents", "keep_receipt"),
    ],
)
def test_an_end_at_any_moment_is_mended_by_the_same_command(place, module, name):
    def ended(*arguments, **named):
        raise SystemExit

    before = len(configured_workspace().vectors)
    with pytest.MonkeyPatch.context() as deadly, pytest.raises(SystemExit):
        deadly.setattr(f"{module}.{name}", ended)
        forget("secret.json")
    assert found("xylophone quagga") == set()
    workspace = configured_workspace()
    forget("secret.json")
    assert traces(place.data_dir, *WORDS) == []
    assert len(workspace.vectors) == before - 2
    assert [*(place.data_dir / "forgotten" / "unfinished").iterdir()] == []


def test_a_writer_that_began_before_does_not_bring_it_back(place):
    workspace = configured_workspace()
    begun = []
    for name in ("documents", "doc_chunks", "doc_vectors"):
        table = workspace.table(name)
        begun.append((table, table_slice(table.read("secret.json"), "late", "secret.json")))
    files = workspace.table("document_files")
    begun.append((files, table_slice(files.read(), "late")))
    bad = {"doc_id": "secret.json", "reason": "Xylophone"}
    row = QUARANTINED_DOCUMENT_SCHEMA.empty_table().from_pylist([bad], QUARANTINED_DOCUMENT_SCHEMA)
    begun.append((workspace.table("quarantined_documents"), table_slice(row, "x", "secret.json")))
    forget("secret.json")
    written = [table.write(part) for table, part in begun]
    assert [each.replaced for each in written] == [False, False, False, True, False]
    assert traces(place.data_dir, *WORDS) == []
    ids = [entry.doc_id for entry in workspace.library.stored_inventory.entries]
    assert ids == ["open.json"]


def test_a_partition_drawn_before_the_tombstone_is_not_published_after_it(place):
    workspace = configured_workspace()
    table: ParquetTable = workspace.table("documents")
    rows = table.read("secret.json")

    def drawing():
        yield from rows.to_batches()
        workspace.library.snapshots.tombstones.add(["secret.json"])

    stored = table.footer("secret.json")
    written = table.write(Slice("secret.json", "another", rows.schema, drawing))
    assert not written.replaced
    assert table.footer("secret.json") == stored
