import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from urllib.parse import quote

import numpy as np
import psycopg
import pyarrow as pa
import pytest

from embedding_assets.documents.table import CHUNK_SCHEMA
from embedding_assets.errors import InputError, NotFoundError, SchemaError
from embedding_assets.search import postgres, postgres_index, postgres_server
from embedding_assets.search.exact import nearest
from embedding_assets.search.postgres import (
    DocumentTables,
    PublishedModel,
    forget_document,
    publish,
)
from embedding_assets.search.postgres_search import Query, open_searcher, search_postgres
from embedding_assets.search.postgres_server import (
    PostgresBusyError,
    PostgresDriverError,
    PostgresError,
    PostgresExtensionError,
    PostgresRefusedError,
    PostgresTarget,
    PostgresUnreachableError,
    PostgresUrlError,
)
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import digest_of, table_slice
from embedding_assets_tests.search.postgres_server import PASSWORD, execute, running

D = 8
numbers = count()
MODEL = PublishedModel("tiny", "1", "a" * 64, D)
OTHER = PublishedModel("tiny", "2", "b" * 64, D)
PASSAGES = "SELECT doc_id, text FROM chunks ORDER BY doc_id, position"


@pytest.fixture(scope="session")
def server():
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def database(server):
    return server.new_database()


@pytest.fixture
def target(database):
    """A schema of its own in one database: to create a database takes longer than most tests."""
    return PostgresTarget(database, f"s{next(numbers)}")


@pytest.fixture
def alone(server):
    """A database of its own."""
    return PostgresTarget(server.new_database())


def ask(target, statement, *values):
    """The rows of a statement about the schema of `target`."""
    with psycopg.connect(target.url, autocommit=True) as connection:
        connection.execute(
            "SELECT set_config('search_path', %s || ', public', false)", [target.schema]
        )
        return connection.execute(statement, values or None).fetchall()


@pytest.fixture
def tables(tmp_path):
    return tables_in(tmp_path)


def tables_in(folder):
    chunks, vectors = (ParquetTable.at(folder / name) for name in ("doc_chunks", "doc_vectors"))
    return DocumentTables(chunks, vectors)


def unit(seed, n, d=D):
    vectors = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def store(tables, doc_id, texts, vectors=None, digest=None):
    """The document with a passage for each text, and its vectors in another order."""
    vectors = unit(len(texts), len(texts)) if vectors is None else vectors
    rows = [chunk(doc_id, position, text) for position, text in enumerate(texts)]
    ids = [row["chunk_id"] for row in rows]
    columns = {
        "chunk_id": pa.array(ids[::-1], pa.string()),
        "doc_id": pa.array([doc_id] * len(ids), pa.string()),
        "embedding": pa.array(list(vectors[::-1]), pa.list_(pa.float32(), vectors.shape[1])),
    }
    digest = digest or digest_of(*texts)
    tables.chunks.write(table_slice(pa.Table.from_pylist(rows, CHUNK_SCHEMA), digest, doc_id))
    tables.vectors.write(table_slice(pa.table(columns), digest, doc_id))


def chunk(doc_id, position, text):
    box = {"page": 1, "left": 72.1, "top": 10.0, "right": 500.25, "bottom": 20.0}
    return {
        "chunk_id": f"{doc_id}-{position}",
        "doc_id": doc_id,
        "position": position,
        "text": text,
        "heading_path": ["One", text],
        "kind": "paragraph",
        "pages": [1, 2],
        "boxes": [box],
        "tokens": len(text),
    }


def counts(result):
    return (
        result.documents_written,
        result.documents_unchanged,
        result.documents_deleted,
        result.documents_waiting,
        result.rows,
    )


def versions(target):
    """Which transaction wrote each passage."""
    query = "SELECT doc_id, position, xmin::text FROM chunks_aaaaaaaaaaaaaaaa"
    return {(doc_id, position): xmin for doc_id, position, xmin in ask(target, query)}


class TestPublish:
    def test_a_passage_is_there_in_types_that_sql_can_ask(self, target, tables):
        vector = unit(0, 1)
        store(tables, "a.pdf", ["first"], vector)
        assert counts(publish(target, tables, MODEL, ["a.pdf"])) == (1, 0, 0, 0, 1)
        [row] = ask(
            target,
            "SELECT chunk_id, doc_id, position, text, heading_path[2], kind, pages[2], "
            "boxes->0->>'left', (boxes->0->'page')::int, tokens, embedding::real[], "
            "vector_dims(embedding) FROM chunks",
        )
        assert row[:10] == (
            *("a.pdf-0", "a.pdf", 0, "first", "first", "paragraph", 2, "72.1", 1, 5),
        )
        np.testing.assert_array_equal(np.array(row[10], dtype=np.float32), vector[0])
        assert row[11] == D

    def test_each_vector_stands_with_its_own_passage(self, target, tables):
        vectors = unit(1, 3)
        store(tables, "a", ["x", "y", "z"], vectors)
        publish(target, tables, MODEL, ["a"])
        query = "SELECT embedding::real[] FROM chunks ORDER BY position"
        found = np.array([row[0] for row in ask(target, query)], dtype=np.float32)
        np.testing.assert_array_equal(found, vectors)

    def test_a_second_time_nothing_is_written(self, target, tables):
        store(tables, "a", ["x", "y"])
        store(tables, "b", ["z"])
        publish(target, tables, MODEL, ["a", "b"])
        before = versions(target)
        assert counts(publish(target, tables, MODEL, ["a", "b"])) == (0, 2, 0, 0, 3)
        assert versions(target) == before

    def test_only_a_changed_document_is_written_again(self, target, tables):
        store(tables, "a", ["x", "y"])
        store(tables, "b", ["z"])
        publish(target, tables, MODEL, ["a", "b"])
        before = versions(target)
        store(tables, "a", ["new"])
        assert counts(publish(target, tables, MODEL, ["a", "b"])) == (1, 1, 0, 0, 2)
        after = versions(target)
        assert after.keys() == {("a", 0), ("b", 0)}
        assert after["b", 0] == before["b", 0]
        assert after["a", 0] != before["a", 0]
        assert ask(target, PASSAGES) == [("a", "new"), ("b", "z")]

    def test_a_document_that_exists_no_more_is_deleted(self, target, tables):
        store(tables, "a", ["x"])
        store(tables, "b", ["z"])
        publish(target, tables, MODEL, ["a", "b"])
        assert counts(publish(target, tables, MODEL, ["b"])) == (0, 1, 1, 0, 1)
        assert ask(target, PASSAGES) == [("b", "z")]
        assert counts(publish(target, tables, MODEL, ["a", "b"])) == (1, 1, 0, 0, 2)

    def test_a_stored_document_outside_keep_is_not_published(self, target, tables):
        store(tables, "a", ["x"])
        assert counts(publish(target, tables, MODEL, [])) == (0, 0, 0, 0, 0)

    def test_a_document_without_passages_is_done_once(self, target, tables):
        store(tables, "a", [])
        assert counts(publish(target, tables, MODEL, ["a"])) == (1, 0, 0, 0, 0)
        assert counts(publish(target, tables, MODEL, ["a"])) == (0, 1, 0, 0, 0)

    def test_a_document_whose_vectors_are_not_made_yet_stays_as_it_was(self, target, tables):
        store(tables, "a", ["x"])
        publish(target, tables, MODEL, ["a"])
        old = tables.vectors.read("a")
        store(tables, "a", ["x", "longer"])
        tables.vectors.write(table_slice(old, "late", "a"))
        tables.vectors.write(table_slice(old, "no chunks", "b"))
        assert counts(publish(target, tables, MODEL, ["a", "b", "none"])) == (0, 0, 0, 3, 1)
        assert ask(target, PASSAGES) == [("a", "x")]

    @pytest.mark.parametrize(
        "text",
        [
            'it\'s "quoted"\\ \t\r\n;--',
            "Καλημέρα 日本語 🧪 e\u0301\u202e",
            "\\N",
            "",
            "x" * 200_000,
        ],
        ids=["quotes", "unicode", "null marker", "empty", "long"],
    )
    def test_a_text_comes_back_as_it_is(self, target, tables, text):
        store(tables, text[:50] or "-", [text])
        publish(target, tables, MODEL, [text[:50] or "-"])
        query = "SELECT text, heading_path FROM chunks"
        assert ask(target, query) == [(text, ["One", text])]

    def test_the_character_that_postgresql_refuses_is_replaced_and_the_rest_kept(
        self, target, tables
    ):
        store(tables, "a", ["be\0fore", "after"])
        publish(target, tables, MODEL, ["a"])
        assert ask(target, PASSAGES) == [("a", "be\ufffdfore"), ("a", "after")]

    def test_documents_are_written_in_groups_of_bounded_size(self, target, tables, monkeypatch):
        monkeypatch.setattr(postgres, "_GROUP_PASSAGES", 4)
        for name in "abcdef":
            store(tables, name, ["x", "y"])
        publish(target, tables, MODEL, "abcdef")
        by_writer = {}
        for (doc_id, _), writer in versions(target).items():
            by_writer.setdefault(writer, set()).add(doc_id)
        assert sorted(map(sorted, by_writer.values())) == [["a", "b"], ["c", "d"], ["e", "f"]]

    def test_vectors_of_another_dimension_are_refused(self, target, tables):
        store(tables, "a", ["x"], unit(0, 1, 5))
        with pytest.raises(SchemaError, match="document a have not 8 components"):
            publish(target, tables, MODEL, ["a"])

    def test_a_schema_of_any_name_is_used_and_no_other(self, target, tables):
        odd = PostgresTarget(target.url, 'my "odd" schema')
        store(tables, "a", ["x"])
        publish(odd, tables, MODEL, ["a"])
        assert ask(target, 'SELECT doc_id FROM "my ""odd"" schema".chunks') == [("a",)]
        assert [found.doc_id for found in search_postgres(odd, Query(unit(0, 1)[0]))] == ["a"]

    def test_tables_of_others_with_the_same_names_are_left_alone(self, alone, tables):
        execute(alone.url, "CREATE TABLE public.models (live int)")
        with pytest.raises(NotFoundError):
            search_postgres(alone, Query(unit(0, 1)[0]))
        assert forget_document(alone, "a") == 0
        store(tables, "a", ["x"])
        publish(alone, tables, MODEL, ["a"])
        assert execute(alone.url, "SELECT * FROM public.models") == []

    def test_an_extension_in_another_schema_is_found(self, alone, tables):
        execute(alone.url, "CREATE SCHEMA extensions")
        execute(alone.url, "CREATE EXTENSION vector WITH SCHEMA extensions")
        store(tables, "a", ["x"])
        publish(alone, tables, MODEL, ["a"])
        assert len(search_postgres(alone, Query(unit(0, 1)[0]))) == 1


class TestModels:
    def test_another_model_gets_a_table_of_its_own_and_the_view(self, target, tables):
        store(tables, "a", ["x"], unit(0, 1))
        publish(target, tables, MODEL, ["a"])
        store(tables, "a", ["x"], unit(9, 1, 3), digest="other model")
        wider = PublishedModel("wide", "1", "c" * 64, 3)
        assert counts(publish(target, tables, wider, ["a"])) == (1, 0, 0, 0, 1)
        dims = "SELECT vector_dims(embedding) FROM {}"
        assert ask(target, dims.format("chunks")) == [(3,)]
        assert ask(target, dims.format("chunks_aaaaaaaaaaaaaaaa")) == [(8,)]
        live = "SELECT name, live FROM models ORDER BY name"
        assert ask(target, live) == [("tiny", False), ("wide", True)]

    def test_a_search_is_never_of_another_model(self, target, tables):
        store(tables, "a", ["x"], unit(0, 1))
        publish(target, tables, MODEL, ["a"])
        vector = unit(3, 1)[0]
        found = search_postgres(target, Query(vector, fingerprint=MODEL.fingerprint))
        assert [passage.text for passage in found] == ["x"]
        with pytest.raises(NotFoundError, match="of the model bbbbbbbbbbbb"):
            search_postgres(target, Query(vector, fingerprint=OTHER.fingerprint))

    def test_the_view_stays_with_the_old_model_until_the_new_one_is_complete(
        self, target, tables, monkeypatch
    ):
        monkeypatch.setattr(postgres, "_GROUP_DOCUMENTS", 1)
        for name in "ab":
            store(tables, name, ["x"])
        publish(target, tables, MODEL, "ab")
        store(tables, "b", ["x"], unit(0, 1, 3), digest="cannot be written")
        with pytest.raises(SchemaError):
            publish(target, tables, OTHER, "ab")
        assert ask(target, "SELECT doc_id FROM documents") == [
            ("a",),
            ("b",),
            ("a",),
        ]
        assert ask(target, PASSAGES) == [("a", "x"), ("b", "x")]


class TestForget:
    def test_a_forgotten_document_is_in_no_table(self, target, tables):
        for name in "ab":
            store(tables, name, ["x", "y"])
        for model in (MODEL, OTHER):
            publish(target, tables, model, "ab")
        assert forget_document(target, "a") == 4
        for table in ("chunks_aaaaaaaaaaaaaaaa", "chunks_bbbbbbbbbbbbbbbb", "documents"):
            query = f"SELECT DISTINCT doc_id FROM {table}"
            assert ask(target, query) == [("b",)]
        assert forget_document(target, "a") == 0

    def test_nothing_was_ever_published(self, target):
        assert forget_document(target, "a") == 0

    def test_a_publisher_that_already_knows_it_does_not_bring_it_back(
        self, target, tables, monkeypatch
    ):
        for name in "ab":
            store(tables, name, ["x"])
        usual = postgres._replace

        def forgotten_meanwhile(connection, tables, *others):
            tables.chunks.remove("a")
            tables.vectors.remove("a")
            return usual(connection, tables, *others)

        monkeypatch.setattr(postgres, "_replace", forgotten_meanwhile)
        assert counts(publish(target, tables, MODEL, "ab")) == (1, 0, 0, 1, 1)
        assert ask(target, PASSAGES) == [("b", "x")]


@pytest.fixture(scope="module")
def many(server, tmp_path_factory):
    """3,000 passages of 60 documents, their vectors and ids, and where they are published."""
    tables = tables_in(tmp_path_factory.mktemp("many"))
    vectors = unit(5, 3_000, 64)
    for n in range(60):
        texts = [f"passage {i}" for i in range(50)]
        store(tables, f"d{n:02}", texts, vectors[50 * n : 50 * (n + 1)], digest=f"{n}")
    target = PostgresTarget(server.new_database(), index_above=3_000)
    model = PublishedModel("many", "1", "d" * 64, 64)
    publish(target, tables, model, [f"d{n:02}" for n in range(60)])
    ids = np.array([f"d{n:02}-{i}" for n in range(60) for i in range(50)])
    return target, vectors, ids


class TestSearch:
    def test_the_best_ten_are_those_of_the_exact_search(self, many):
        target, vectors, ids = many
        for query in unit(6, 10, 64):
            found = search_postgres(target, Query(query))
            exact = nearest(query[None], vectors, 10)
            assert [passage.chunk_id for passage in found] == list(ids[exact.rows[0]])
            scores = [passage.score for passage in found]
            np.testing.assert_allclose(scores, exact.scores[0], atol=1e-6)

    @pytest.mark.parametrize("documents", [1, 3, 40])
    @pytest.mark.parametrize("exact", [True, False], ids=["exact", "index"])
    def test_a_filter_comes_before_the_ranking(self, many, documents, exact):
        target, vectors, ids = many
        allowed = [f"d{n:02}" for n in range(7, 7 + documents)]
        inside = np.flatnonzero([name.split("-")[0] in allowed for name in ids])
        for query in unit(8, 5, 64):
            found = search_postgres(by_index(target), Query(query, doc_ids=allowed), exact=exact)
            rows = inside[nearest(query[None], vectors[inside], 10).rows[0]]
            got = [passage.chunk_id for passage in found]
            assert len(got) == 10
            assert {passage.doc_id for passage in found} <= set(allowed)
            if exact:
                assert got == list(ids[rows])
            else:
                assert len(set(got) & set(ids[rows])) >= 9

    def test_a_large_table_has_an_index_with_its_measured_recall(self, many):
        target, *_ = many
        [(recall,)] = ask(target, "SELECT index_recall FROM models")
        assert 0.9 <= recall <= 1
        query = "SELECT indexdef FROM pg_indexes WHERE indexname = 'chunks_dddddddddddddddd_hnsw'"
        assert "vector_ip_ops" in ask(target, query)[0][0]

    def test_the_exact_search_passes_the_index_by_and_the_other_uses_it(self, many):
        target = by_index(many[0])
        query = Query(unit(1, 1, 64)[0])
        scans = "SELECT pg_stat_get_xact_numscans('chunks_dddddddddddddddd_hnsw'::regclass)"
        with (
            postgres_server.connected(target) as connection,
            postgres_server.transaction(connection, target.schema),
        ):
            searcher = open_searcher(connection)
            searcher.search(query)
            assert connection.execute(scans).fetchall() == [(0,)]
            searcher.search_index(query)
            assert connection.execute(scans).fetchall() == [(1,)]

    def test_a_pgvector_that_stops_early_in_its_index_is_asked_for_the_exact_answer(self, many):
        target, vectors, ids = many
        [query] = unit(4, 1, 64)
        with (
            postgres_server.connected(target) as connection,
            postgres_server.transaction(connection, target.schema),
        ):
            searcher = replace(open_searcher(connection), iterative=False)
            found = searcher.search_index(Query(query))
        exact = nearest(query[None], vectors, 10).rows[0]
        assert [passage.chunk_id for passage in found] == list(ids[exact])

    def test_more_than_there_are_gives_all(self, many):
        target, *_ = many
        for exact in (True, False):
            query = Query(unit(2, 1, 64)[0], k=80, doc_ids=["d03"])
            assert len(search_postgres(by_index(target), query, exact=exact)) == 50

    def test_a_small_table_has_no_index(self, target, tables):
        store(tables, "a", ["x"])
        publish(target, tables, MODEL, ["a"])
        query = "SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%hnsw%' "
        query += "AND schemaname = current_schema()"
        assert ask(target, query) == [(0,)]
        assert len(search_postgres(target, Query(unit(0, 1)[0]), exact=False)) == 1

    def test_equal_passages_come_in_the_order_of_document_and_position(self, target, tables):
        same = np.repeat(unit(0, 1), 3, axis=0)
        for name in "ba":
            store(tables, name, ["x", "y", "z"], same)
        publish(target, tables, MODEL, "ab")
        found = search_postgres(target, Query(same[0], k=4))
        assert [p.chunk_id for p in found] == ["a-0", "a-1", "a-2", "b-0"]

    def test_no_document_allowed_finds_nothing(self, many):
        assert search_postgres(many[0], Query(unit(0, 1, 64)[0], doc_ids=[])) == []

    def test_a_filter_is_a_value_and_no_sql(self, many):
        odd = ["'; DROP SCHEMA embedding_assets CASCADE; --", "{d03}", 'a"b']
        assert search_postgres(many[0], Query(unit(0, 1, 64)[0], doc_ids=odd)) == []

    def test_a_query_of_another_dimension_is_named(self, many):
        with pytest.raises(InputError, match="has 8 components, the published vectors have 64"):
            search_postgres(many[0], Query(unit(0, 1)[0]))

    @pytest.mark.parametrize(
        ("vector", "k"),
        [(np.full(D, np.nan, np.float32), 1), (unit(0, 1), 1), (unit(0, 1)[0], 0)],
        ids=["not a number", "a matrix", "none asked for"],
    )
    def test_a_query_that_makes_no_sense_is_refused(self, vector, k):
        with pytest.raises(InputError):
            Query(vector, k)


def by_index(target):
    """The same, where the server takes its index although the table is small."""
    ways = " ".join(f"-c enable_{way}=off" for way in ("seqscan", "bitmapscan", "sort"))
    return replace(target, url=f"{target.url}&options={quote(ways)}")


KILLED = """
import os, signal, sys
from itertools import count
from pathlib import Path

from psycopg import Copy

from embedding_assets.search import postgres
from embedding_assets.search.postgres_server import PostgresTarget
from embedding_assets_tests.search.test_postgres import MODEL, tables_in

write_row, rows = Copy.write_row, count(1)

def dying(copy, row):
    if next(rows) == 18:
        os.kill(os.getpid(), signal.SIGKILL)
    write_row(copy, row)

Copy.write_row = dying
postgres._GROUP_DOCUMENTS = 2
target = PostgresTarget(*sys.argv[1:3])
postgres.publish(target, tables_in(Path(sys.argv[3])), MODEL, [f"d{n}" for n in range(6)])
"""


class TestFaults:
    @pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
    def test_a_killed_publisher_leaves_each_document_whole_and_the_next_completes(
        self, target, tables, tmp_path
    ):
        for n in range(6):
            store(tables, f"d{n}", ["old"] * 3)
        publish(target, tables, MODEL, [f"d{n}" for n in range(6)])
        for n in range(6):
            store(tables, f"d{n}", ["new"] * 5)
        killed = subprocess.run(
            [
                sys.executable,
                "-c",
                KILLED,
                target.url,
                target.schema,
                str(tmp_path),
            ],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL
        half = {f"d{n}": (["new"] * 5 if n < 2 else ["old"] * 3) for n in range(6)}
        assert texts(target) == half
        assert counts(publish(target, tables, MODEL, half)) == (4, 2, 0, 0, 30)
        assert texts(target) == {f"d{n}": ["new"] * 5 for n in range(6)}

    def test_two_publishers_at_once_write_each_document_once(self, target, tables, monkeypatch):
        monkeypatch.setattr(postgres, "_GROUP_DOCUMENTS", 3)
        names = [f"d{n:02}" for n in range(30)]
        for name in names:
            store(tables, name, ["x", "y"])
        with ThreadPoolExecutor() as pool:
            both = [pool.submit(publish, target, tables, MODEL, names) for _ in range(2)]
            results = [publisher.result() for publisher in both]
        assert sum(result.documents_written for result in results) == 30
        assert sum(result.documents_unchanged for result in results) == 30
        assert texts(target) == {name: ["x", "y"] for name in names}

    def test_a_publisher_waits_for_the_other_and_names_it_when_that_takes_too_long(
        self, target, tables, monkeypatch
    ):
        monkeypatch.setattr(postgres_server, "_LOCK_WAIT", "20ms")
        store(tables, "a", ["x"])
        publish(target, tables, MODEL, ["a"])
        with (
            postgres_server.connected(target) as other,
            postgres_server.exclusive(other, target.schema),
            pytest.raises(PostgresBusyError, match="pg_stat_activity"),
        ):
            forget_document(target, "a")
        assert forget_document(target, "a") == 1

    def test_an_index_is_made_by_one_of_two_publishers(self, target, tables, monkeypatch):
        eager = replace(target, index_above=2)
        store(tables, "a", ["x", "y"])
        monkeypatch.setattr(postgres_index, "_is_due", lambda *_: True)
        for _ in range(2):
            publish(eager, tables, MODEL, ["a"])
        query = "SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%hnsw%' "
        query += "AND schemaname = current_schema()"
        assert ask(target, query) == [(1,)]


def texts(target):
    found = {}
    for doc_id, text in ask(target, PASSAGES):
        found.setdefault(doc_id, []).append(text)
    return found


class TestErrors:
    def refused(self, url, error):
        with pytest.raises(error) as caught:
            search_postgres(PostgresTarget(url), Query(unit(0, 1)[0]))
        assert "secret" not in f"{caught.getrepr(style='value')}{PostgresTarget(url)!r}"
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None or caught.value.__suppress_context__
        return str(caught.value)

    def test_no_server_at_the_place(self):
        words = self.refused("postgresql://me:secret@127.0.0.1:1/x", PostgresUnreachableError)
        assert "127.0.0.1:1/x cannot be reached" in words

    def test_no_socket_at_the_place(self, tmp_path):
        url = f"postgresql://me:secret@/x?host={tmp_path}"
        assert f"{tmp_path}/x cannot be reached" in self.refused(url, PostgresUnreachableError)

    def test_a_wrong_password(self, server):
        url = server.url(password="secret")
        words = self.refused(url, PostgresRefusedError)
        assert "password authentication failed" in words

    def test_a_database_that_does_not_exist(self, server):
        words = self.refused(server.url("nowhere"), PostgresRefusedError)
        assert '"nowhere" does not exist' in words
        assert PASSWORD not in words

    @pytest.mark.parametrize(
        "url",
        [
            "mysql://me:secret@host/x",
            "postgresql+psycopg://me:secret@host/x",
            "postgresql://me:%zzsecret@host/x",
            "secret",
        ],
    )
    def test_a_url_that_cannot_be_read_is_not_repeated(self, url):
        assert "%40" in self.refused(url, PostgresUrlError)

    @pytest.mark.parametrize(
        "password", ["p@secret", "p/secret", "1/secret", "p?secret", "p#secret"]
    )
    def test_a_password_that_a_url_cannot_hold_is_not_shown(self, password):
        # Where the password ends then is for the version of libpq to say.
        self.refused(f"postgresql://me:{password}@127.0.0.1:1/x", PostgresError)

    def test_a_server_without_pgvector(self, server, alone, tables):
        with server.without_pgvector(), pytest.raises(PostgresExtensionError, match="apt install"):
            publish(alone, tables, MODEL, [])
        assert counts(publish(alone, tables, MODEL, [])) == (0, 0, 0, 0, 0)

    def test_a_user_who_may_not_create_the_schema(self, server, alone, tables):
        execute(alone.url, "CREATE EXTENSION vector")
        execute(alone.url, "CREATE ROLE reader LOGIN PASSWORD 'secret'")
        database = alone.url.rsplit("/", 1)[1].split("?")[0]
        low = PostgresTarget(server.url(database, "reader", "secret"))
        with pytest.raises(PostgresRefusedError, match="Grant the user CREATE"):
            publish(low, tables, MODEL, [])

    def test_a_user_who_may_not_enable_pgvector(self, server, alone, tables):
        execute(alone.url, "CREATE ROLE lowly LOGIN PASSWORD 'secret'")
        database = alone.url.rsplit("/", 1)[1].split("?")[0]
        lowly = PostgresTarget(server.url(database, "lowly", "secret"))
        with pytest.raises(PostgresExtensionError, match="Let an administrator run"):
            publish(lowly, tables, MODEL, [])

    def test_an_extension_that_was_dropped(self, alone, tables):
        publish(alone, tables, MODEL, [])
        execute(alone.url, "DROP EXTENSION vector CASCADE")
        with pytest.raises(PostgresExtensionError, match="DROP SCHEMA"):
            search_postgres(alone, Query(unit(0, 1)[0]))
        with pytest.raises(PostgresExtensionError, match="DROP SCHEMA"):
            publish(alone, tables, MODEL, [])

    def test_another_refusal_says_the_words_of_the_server(self, target, tables):
        huge = replace(MODEL, dimension=20_000)
        with pytest.raises(PostgresError, match="cannot exceed 16000"):
            publish(target, tables, huge, [])

    def test_a_user_who_owns_nothing_but_the_schema_can_publish(self, server, alone, tables):
        execute(alone.url, "CREATE EXTENSION vector")
        execute(alone.url, "CREATE ROLE owner LOGIN PASSWORD 'secret'")
        execute(alone.url, "CREATE SCHEMA embedding_assets AUTHORIZATION owner")
        database = alone.url.rsplit("/", 1)[1].split("?")[0]
        store(tables, "a", ["x"])
        owner = PostgresTarget(server.url(database, "owner", "secret"))
        assert counts(publish(owner, tables, MODEL, ["a"])) == (1, 0, 0, 0, 1)

    def test_a_connection_that_breaks(self, target, tables, monkeypatch):
        store(tables, "a", ["x"])
        write = postgres._write

        def cut(connection, *others):
            query = "SELECT pg_terminate_backend(%s)"
            ask(target, query, connection.info.backend_pid)
            write(connection, *others)

        monkeypatch.setattr(postgres, "_write", cut)
        with pytest.raises(PostgresUnreachableError, match="broke"):
            publish(target, tables, MODEL, ["a"])
        monkeypatch.undo()
        assert counts(publish(target, tables, MODEL, ["a"])) == (1, 0, 0, 0, 1)

    def test_the_library_is_not_installed(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(
            PostgresDriverError, match=r"pip install 'embedding-assets\[postgres\]'"
        ):
            search_postgres(PostgresTarget("postgresql://x"), Query(unit(0, 1)[0]))
