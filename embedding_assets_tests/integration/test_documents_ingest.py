"""A pair through `embedding-assets ingest`: bad pairs, and models that come as an archive."""

import io
import json
import tarfile

import numpy as np
import pyarrow.parquet as pq
import pytest

from embedding_assets_tests.integration.papers import PAGES, put_pair
from embedding_assets_tests.integration.workplace import (
    EMBEDDING_ASSETS,
    assert_named_failure,
    contents,
    leftovers,
)

GOOD = [("Refunds take five days.", ["p2", "p1"]), (" ", ["p1"]), ("Couriers " * 900, ["p1"])]
NO_JSON = b'[{"text": "Torn'
DEEP = b"[" * 100_000

BAD_PAIRS = {
    "unresolved-page": ([("Lost.", ["p9"])], PAGES, ["'p9'", "page table"]),
    "torn-json": (NO_JSON, PAGES, ["texts_bad.json", "not JSON"]),
    "json-of-100000-levels": (DEEP, PAGES, ["texts_bad.json", "not JSON"]),
    "json-of-100-levels": (b"[" * 100 + b"]" * 100, PAGES, ["entry 0 has no text"]),
    "torn-csv": (GOOD, 'id,pg_num\n"p1,1\n', ["pages_bad.csv", "line"]),
    "csv-without-columns": (GOOD, "page,number\np1,1\n", ["it has the columns page, number"]),
    "no-page-number": (GOOD, "id,pg_num\np1,first\n", ["'first'"]),
    "binary-csv": (GOOD, "id,pg_num\np1,\0\n", ["pages_bad.csv"]),
}


def ingest(place, *arguments, **options):
    return place.run(EMBEDDING_ASSETS, "ingest", *arguments, **options)


def assert_refused(place, *arguments, words=()):
    """A named failure, and what stood at the output stands there still."""
    out = place.folder / "out" / "file.parquet"
    out.parent.mkdir(exist_ok=True)
    out.write_bytes(b"good earlier output")
    assert_named_failure(ingest(place, *arguments, "--out", out), *words)
    assert contents(out.parent).keys() == {"file.parquet"}
    assert out.read_bytes() == b"good earlier output"
    assert leftovers(place.folder) == []


@pytest.mark.parametrize("case", BAD_PAIRS)
def test_a_bad_pair_is_named_and_the_output_stays(place, case):
    texts, pages, words = BAD_PAIRS[case]
    put_pair(place.documents, "bad", texts, pages)
    assert_refused(place, "bad", words=words)


@pytest.mark.parametrize("half", ["pages_bad.csv", "texts_bad.json"])
def test_a_missing_half_is_named(place, half):
    put_pair(place.documents, "bad", GOOD)
    (place.documents / half).unlink()
    assert_refused(place, "bad", words=[f"{half} is not in", "needs both"])


@pytest.mark.parametrize("doc_id", ["none", "../out", "a/b", "", "a" * 300])
def test_an_id_without_a_pair_is_named(place, doc_id):
    assert_refused(place, doc_id)


def pack(archive, folder, *odd, without=""):
    """A model folder as an archive; odd: further members."""
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder).as_posix()
            if path.is_file() and not (without and inside.startswith(without)):
                tar.add(path, inside)
        for member in odd:
            tar.addfile(member, io.BytesIO(bytes(min(member.size, 1_000))))
    return archive


def member(name, kind=tarfile.REGTYPE, link="", size=0):
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, size
    return made


HOSTILE = {
    "parent": member("../escaped.txt"),
    "parent-below": member("a/../../escaped.txt"),
    "absolute": member("/tmp/escaped.txt"),
    "symbolic-link": member("link", tarfile.SYMTYPE, "/etc/passwd"),
    "hard-link": member("link", tarfile.LNKTYPE, "/etc/passwd"),
    "device": member("device", tarfile.CHRTYPE),
    "pipe": member("pipe", tarfile.FIFOTYPE),
    "10-gigabytes": member("large.bin", size=10 * 1024**3),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_refused_and_leaves_nothing(place, case):
    put_pair(place.documents, "good", GOOD)
    archive = place.folder / "hostile.tar.gz"
    if case == "10-gigabytes":
        # The header alone: the file ends behind it.
        with tarfile.open(archive, "w:gz") as tar:
            tar.addfile(HOSTILE[case])
    else:
        pack(archive, place.model, HOSTILE[case])
    assert_refused(place, "good", "--model", archive, words=[str(archive)])
    assert list((place.data_dir / "models" / "unpacked").iterdir()) == []
    assert not [path for path in place.folder.rglob("*") if "escaped" in path.name]


def test_a_model_archive_without_pooling_is_refused(place):
    put_pair(place.documents, "good", GOOD)
    archive = pack(place.folder / "model.tar.gz", place.model, without="1_Pooling")
    assert_refused(place, "good", "--model", archive, words=["1_Pooling"])


@pytest.mark.parametrize("damage", ["text", "cut", "missing", "folder"])
def test_what_is_no_model_archive_is_named(place, damage):
    put_pair(place.documents, "good", GOOD)
    archive = place.folder / "model.tar.gz"
    if damage == "text":
        archive.write_text("no archive")
    elif damage == "cut":
        pack(archive, place.model)
        archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    elif damage == "folder":
        archive.mkdir()
    assert_refused(place, "good", "--model", archive, words=["model.tar.gz"])


def test_a_model_archive_gives_the_vectors_of_sentence_transformers(place):
    from sentence_transformers import SentenceTransformer

    short = [("Refunds take five days.", ["p2", "p1"]), ("Zoë 東京 🍕", ["p1"]), ("", [])]
    put_pair(place.documents, "12345", short)
    archive = pack(place.folder / "model.tar.gz", place.model)
    out = place.folder / "out.parquet"
    done = ingest(place, "12345", "--model", archive, "--out", out, "--json")
    assert done.code == 0, done
    rows = pq.read_table(out).to_pylist()
    assert [(row["text"], row["pages"]) for row in rows] == [
        ("Refunds take five days.", [2, 1]), ("Zoë 東京 🍕", [1]),
    ]  # fmt: skip
    reference = SentenceTransformer(str(place.model), device="cpu")
    texts = [row["text"] for row in rows]
    expected = reference.encode(texts, normalize_embeddings=True)
    assert np.abs(np.array([row["vector"] for row in rows]) - expected).max() < 1e-5
    assert json.loads(done.out)["texts"] == 2


def test_a_pair_is_written_below_the_data_folder_when_nothing_else_is_said(place):
    put_pair(place.documents, "it's 東京", GOOD)
    done = ingest(place, "it's 東京", "--json")
    assert done.code == 0, done
    table = pq.read_table(json.loads(done.out)["output"])
    assert table["position"].to_pylist() == [0, 2]
