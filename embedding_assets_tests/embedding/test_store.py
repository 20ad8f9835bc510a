import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedding_assets.embedding import store as module
from embedding_assets.embedding.encoder import Encoding, HashingEncoder
from embedding_assets.embedding.store import VectorStore, text_keys
from embedding_assets.errors import ModelError, StoreDamagedError
from embedding_assets_tests.storage import processes


class CountingEncoder(HashingEncoder):
    """Remembers what it was asked to encode."""

    def __init__(self):
        super().__init__(dimension=8, window=3)
        self.asked = []

    def encode(self, texts):
        self.asked += texts
        return super().encode(texts)


@pytest.fixture
def encoder():
    return CountingEncoder()


@pytest.fixture
def store(tmp_path, encoder):
    return VectorStore.of(tmp_path / "vectors", encoder)


def segments(store):
    return sorted(store.folder.glob("*.parquet"))


def damage(path, at, flip=0xFF):
    content = bytearray(path.read_bytes())
    content[at] ^= flip
    path.write_bytes(bytes(content))


def same(one, other):
    return (
        np.array_equal(one.vectors, other.vectors)
        and one.tokens.tolist() == other.tokens.tolist()
        and one.windows.tolist() == other.windows.tolist()
    )


def test_a_key_is_the_hash_of_fingerprint_and_exact_text():
    [key] = text_keys(["wine"], "f1")
    assert bytes(key) == hashlib.sha256(b"f1wine").digest()
    assert len(set(text_keys(["wine", "Wine", "wine ", "w\u0301ine", ""], "f1").tolist())) == 5
    assert text_keys(["wine"], "f1") != text_keys(["wine"], "f2")
    assert len(text_keys([], "f1")) == 0


def test_a_lone_surrogate_has_a_key_too():
    assert len(set(text_keys(["\ud800", "\udfff", "?"], "f").tolist())) == 3


@given(st.lists(st.sampled_from(["", "a", "b c", "A", "é", "a b c d e", "\ud83c"]), max_size=12))
def test_vectors_come_in_the_order_of_the_texts_each_distinct_one_computed_once(
    tmp_path_factory, texts
):
    encoder = CountingEncoder()
    store = VectorStore.of(tmp_path_factory.mktemp("vectors"), encoder)
    store.encode(["a", "é"], encoder)
    encoder.asked.clear()
    reuse = store.encode(texts, encoder)
    assert same(reuse.encoding, HashingEncoder(8, 3).encode(texts))
    assert sorted(encoder.asked) == sorted(set(texts) - {"a", "é"})
    assert reuse.computed == len(set(texts) - {"a", "é"})
    assert reuse.reused == len(texts) - reuse.computed
    assert reuse.computed_tokens == sum(HashingEncoder().count_tokens(encoder.asked))
    again = VectorStore.of(store.folder.parent, encoder).encode(texts, encoder)
    assert same(again.encoding, reuse.encoding)
    assert again.computed == 0


def test_another_fingerprint_shares_nothing(store, encoder, tmp_path):
    store.encode(["wine"], encoder)
    other = HashingEncoder(dimension=4)
    assert VectorStore.of(tmp_path / "vectors", other).encode(["wine"], other).computed == 1
    assert store.encode(["wine"], encoder).computed == 0


def test_what_another_process_has_stored_is_found(store, encoder, tmp_path):
    store.encode(["wine"], encoder)
    processes.run(f"""
from pathlib import Path
from embedding_assets_tests.embedding.test_store import CountingEncoder, VectorStore
encoder = CountingEncoder()
VectorStore.of(Path({str(tmp_path)!r}) / "vectors", encoder).encode(["fish"], encoder)""")
    keys = text_keys(["fish", "rice", "wine"], encoder.fingerprint)
    assert store.contains(keys).tolist() == [True, False, True]
    assert store.encode(["fish"], encoder).computed == 0


def test_found_vectors_come_in_the_order_of_the_keys(store, encoder):
    for text in ("one", "two", "three"):
        store.encode([text], encoder)
    is_stored, encoding = store.get(text_keys(["two", "none", "one"], encoder.fingerprint))
    assert is_stored.tolist() == [True, False, True]
    assert same(encoding, HashingEncoder(8, 3).encode(["two", "one"]))


def test_vectors_are_found_across_many_row_groups(store, encoder, monkeypatch):
    monkeypatch.setattr(module, "_ROW_GROUP", 8)
    texts = [f"text {n}" for n in range(100)]
    store.encode(texts, encoder)
    assert pq.ParquetFile(segments(store)[0]).num_row_groups == 13
    again = VectorStore.of(store.folder.parent, encoder).encode(texts[::-7], encoder)
    assert same(again.encoding, HashingEncoder(8, 3).encode(texts[::-7]))


def test_progress_tells_the_texts_of_a_batch_after_they_are_stored(store, encoder):
    seen = []
    store.encode(["a", "b", "a"], encoder, lambda n: seen.append((n, len(store))))
    assert seen == [(3, 2)]


def test_vectors_of_another_dimension_are_refused_and_not_stored(store, encoder):
    encoding = HashingEncoder(4).encode(["wine"])
    with pytest.raises(ModelError, match=r"dimension 8 but vectors of shape \(1, 4\)"):
        store.put(text_keys(["wine"], encoder.fingerprint), encoding)
    assert len(store) == 0


def test_another_encoder_than_the_stores_own_is_refused(store):
    with pytest.raises(ModelError, match="the encoder makes those of"):
        store.encode(["wine"], HashingEncoder(dimension=8, window=4))
    assert len(store) == 0


def test_no_vectors_make_no_segment(store, encoder):
    store.put(text_keys([], encoder.fingerprint), encoder.encode([]))
    store.encode([], encoder)
    assert segments(store) == []


def test_an_encoder_that_fails_stores_nothing(store, encoder, monkeypatch):
    store.encode(["wine"], encoder)
    monkeypatch.setattr(encoder, "encode", lambda texts: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.encode(["fish", "wine"], encoder)
    assert len(store) == 1


def test_equal_keys_stored_by_two_processes_at_once_are_one_vector(store, encoder, tmp_path):
    code = f"""
from pathlib import Path
from embedding_assets_tests.embedding.test_store import *
encoder = CountingEncoder()
store = VectorStore.of(Path({str(tmp_path)!r}) / "vectors", encoder)
texts = [f"text {{n}}" for n in range(50)]
print("ready", flush=True)
input()
for n in range(20):
    store.put(text_keys(texts, encoder.fingerprint), encoder.encode(texts))"""
    children = [processes.start(code) for _ in range(2)]
    assert [child.stdout.readline() for child in children] == ["ready\n"] * 2
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    assert [child.wait() for child in children] == [0, 0]
    for child in children:
        child.communicate()
    assert len(segments(store)) == 40
    assert len(store) == 50
    texts = [f"text {n}" for n in range(50)]
    assert same(store.encode(texts, encoder).encoding, HashingEncoder(8, 3).encode(texts))
    assert store.compact() == 39
    assert len(store) == 50
    assert pq.read_metadata(segments(store)[0]).num_rows == 50


def test_compaction_keeps_every_vector_and_drops_duplicates(store, encoder):
    for text in ("one", "two", "three two"):
        store.encode([text], encoder)
    store.put(text_keys(["one"], encoder.fingerprint), HashingEncoder(8, 3).encode(["one"]))
    stale = VectorStore.of(store.folder.parent, encoder)
    stale.refresh()
    assert store.compact() == 3
    assert [pq.read_metadata(path).num_rows for path in segments(store)] == [3]
    encoder.asked.clear()
    texts = ["three two", "one", "two"]
    for reader in (store, stale):
        assert same(reader.encode(texts, encoder).encoding, HashingEncoder(8, 3).encode(texts))
    assert encoder.asked == []
    assert store.compact() == 0


def test_a_reader_whose_segments_are_merged_between_lookup_and_read_finds_the_merged_one(
    store, encoder, monkeypatch
):
    store.encode(["one"], encoder)
    store.encode(["two"], encoder)
    reader = VectorStore.of(store.folder.parent, encoder)
    refresh = reader.refresh

    def merge_after_the_first_look():
        refresh()
        monkeypatch.setattr(reader, "refresh", refresh)
        store.compact()

    monkeypatch.setattr(reader, "refresh", merge_after_the_first_look)
    is_stored, encoding = reader.get(text_keys(["two", "one"], encoder.fingerprint))
    assert is_stored.tolist() == [True, True]
    assert same(encoding, HashingEncoder(8, 3).encode(["two", "one"]))


def test_full_segments_are_left_alone_so_that_the_oldest_can_be_dropped(
    store, encoder, monkeypatch
):
    texts = [f"text {n}" for n in range(400)]
    store.encode(texts[:200], encoder)
    size = segments(store)[0].stat().st_size
    monkeypatch.setattr(module, "_FULL_BYTES", size)
    for start in range(200, 400, 50):
        store.encode(texts[start : start + 50], encoder)
    full = segments(store)[0]
    assert store.compact() > 0
    assert full in segments(store)
    assert all(path.stat().st_size < 1.5 * size for path in segments(store))
    assert len(store) == 400
    assert store.encode(texts, encoder).computed == 0


@given(at=st.integers(0, 10_000), flip=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_segment_is_refused_by_name_and_never_read_as_something_else(
    tmp_path_factory, at, flip, cut
):
    encoder = HashingEncoder(8, 3)
    store = VectorStore.of(tmp_path_factory.mktemp("vectors"), encoder)
    texts = [f"text {n}" for n in range(20)]
    store.encode(texts, encoder)
    [path] = segments(store)
    size = path.stat().st_size
    if cut:
        path.write_bytes(path.read_bytes()[: at % size])
    else:
        damage(path, at % size, flip)
    try:
        found = VectorStore.of(store.folder.parent, encoder).encode(texts, encoder)
    except StoreDamagedError as error:
        assert path.name in str(error)
    else:
        assert same(found.encoding, encoder.encode(texts))


def test_a_damaged_vector_is_refused_by_name(store, encoder):
    store.encode(["one", "two"], encoder)
    [path] = segments(store)
    vector = encoder.encode(["one"]).vectors[0].tobytes()
    damage(path, path.read_bytes().index(vector))
    with pytest.raises(StoreDamagedError, match=path.name):
        VectorStore.of(store.folder.parent, encoder).encode(["one"], encoder)


def test_without_its_damaged_segment_the_store_computes_those_vectors_again(store, encoder):
    store.encode(["one"], encoder)
    segments(store)[0].write_bytes(b"torn")
    fresh = VectorStore.of(store.folder.parent, encoder)
    with pytest.raises(StoreDamagedError, match="Delete that file"):
        fresh.encode(["one"], encoder)
    segments(store)[0].unlink()
    assert fresh.encode(["one"], encoder).computed == 1


def test_what_a_killed_process_left_is_swept_and_never_read(store, encoder):
    processes.run(f"""
import os
from pathlib import Path
from embedding_assets.embedding import store
from embedding_assets_tests.embedding.test_store import CountingEncoder
from embedding_assets.storage import files
files.os.replace = lambda *paths: os._exit(0)
encoder = CountingEncoder()
store.VectorStore.of(Path({str(store.folder.parent)!r}), encoder).encode(["one"], encoder)
raise SystemExit("it was not killed")""")
    [left] = store.folder.iterdir()
    assert left.name.startswith(".") and left.suffix == ".tmp"
    assert len(store) == 0
    assert store.encode(["one"], encoder).computed == 1
    assert not left.exists()


def test_an_encoding_with_other_counts_is_refused():
    one = np.ones(1, dtype=np.int32)
    with pytest.raises(ValueError, match="2 vectors but 1 token counts and 1 window counts"):
        Encoding(np.ones((2, 3), dtype=np.float32), one, one)


def test_segments_hold_binary_keys_and_fixed_size_vectors(store, encoder):
    store.encode(["one"], encoder)
    assert pq.read_schema(segments(store)[0]).types == [
        pa.binary(32), pa.int32(), pa.int32(), pa.list_(pa.float32(), 8),
    ]  # fmt: skip


def test_removed_vectors_are_gone_and_all_others_stay(store, encoder):
    store.encode(["a", "b"], encoder)
    store.encode(["c"], encoder)
    store.encode(["d", "e"], encoder)
    before = segments(store)
    keys = text_keys([*"abcde"], store.fingerprint)
    known = store.get(keys[[0, 3]])[1]
    assert store.remove(text_keys(["b", "c", "e", "never stored"], store.fingerprint)) == 3
    assert store.contains(keys).tolist() == [True, False, False, True, False]
    assert same(store.get(keys[[0, 3]])[1], known)
    bytes_left = b"".join(path.read_bytes() for path in segments(store))
    assert [bytes(key) in bytes_left for key in keys] == [True, False, False, True, False]
    ages = [path.name.partition("-")[0] for path in before]
    assert [path.name.partition("-")[0] for path in segments(store)] == [ages[0], ages[2]]


def test_removing_what_is_not_stored_touches_no_segment(store, encoder):
    store.encode(["a"], encoder)
    before = segments(store)
    assert store.remove(text_keys(["b"], store.fingerprint)) == 0
    assert segments(store) == before


def test_every_copy_of_a_removed_vector_goes(store, encoder):
    store.encode(["a"], encoder)
    keys = text_keys(["a"], store.fingerprint)
    store.put(keys, store.get(keys)[1])
    assert store.remove(keys) == 2
    assert segments(store) == []
