import numpy as np
import pyarrow as pa
import pytest

from embedding_assets.quality import gates
from embedding_assets.quality.gates import Gate, Soundness


def unit(rows, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(rows, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def batch(vectors, tokens=None, windows=None):
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    n = len(vectors)
    return pa.RecordBatch.from_arrays(
        [
            pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
            pa.array(tokens or [5] * n, pa.int32()),
            pa.array(windows or [1] * n, pa.int32()),
        ],
        ["embedding", "tokens", "windows"],
    )


def sound(*batches):
    found = Soundness(window=10)
    for each in batches:
        found.add(each)
    return found


def test_sound_vectors_pass():
    found = sound(batch(unit(3)), batch(unit(2)), batch(unit(0)))
    assert (found.norms().verdict, found.truncation().verdict) == ("passed", "passed")
    assert "5 vectors" in found.norms().words


def test_a_vector_with_nan_or_of_another_length_closes_the_gate():
    broken = unit(3)
    broken[1, 2] = np.nan
    assert sound(batch(broken)).norms().verdict == "failed"
    assert sound(batch(unit(3) * 1.01)).norms().verdict == "failed"
    assert sound(batch(np.zeros((1, 8)))).norms().verdict == "failed"


def test_a_text_read_in_fewer_windows_than_it_needs_closes_the_gate():
    assert sound(batch(unit(2), [10, 11], [1, 2])).truncation().verdict == "passed"
    assert sound(batch(unit(2), [10, 11], [1, 1])).truncation() == Gate(
        "truncation", "failed", "1 of 2 texts were cut", 1.0, limit=0.0
    )


def test_equal_models_pass_and_worse_ones_do_not():
    champion = np.random.default_rng(0).random(200)
    same = gates.not_worse("retrieval", champion, champion, "nDCG@10", 0.02)
    assert (same.verdict, same.value) == ("passed", same.champion)
    assert gates.not_worse("r", champion + 0.05, champion, "nDCG@10", 0.02).is_open
    surely = gates.not_worse("r", champion - 0.01, champion, "nDCG@10", 0.02)
    assert surely.verdict == "failed" and "100.0%" in surely.words


def test_a_large_loss_closes_the_gate_however_unsure_it_is():
    champion, worse = np.array([1.0, 0.0, 0.5, 0.5]), np.array([0.0, 0.9, 0.5, 0.5])
    assert gates.not_worse("r", worse, champion, "MRR", 0.02).verdict == "failed"
    assert gates.not_worse("r", worse, champion, "MRR", 0.2).verdict == "passed"


def test_the_least_recall_of_an_index_counts():
    assert gates.index_recall({"none": 1.0, "1 %": 0.97}, "approximate", 0.98).verdict == "failed"
    assert gates.index_recall({"none": 0.99}, "approximate", 0.98).verdict == "passed"
    assert gates.index_recall({}, "exact", 0.98).value == 1.0


def test_texts_that_lose_their_own_vector_close_the_gate():
    champion = unit(100)
    collapsed = champion.copy()
    collapsed[:10] = champion[0]
    found = gates.duplicates(collapsed, champion, 0.01)
    assert (found.verdict, found.value, found.champion) == ("failed", pytest.approx(0.1), 0.0)
    assert gates.duplicates(collapsed, collapsed, 0.0).verdict == "passed"


def test_what_the_challenger_lacks_is_named():
    found = gates.complete({"doc_vectors": 2, "item_embeddings": 0}, 9)
    assert (found.verdict, found.words) == ("failed", "these lack: 2 of doc_vectors")
    assert gates.complete({"doc_vectors": 0}, 9).verdict == "passed"


def test_missing_gates_are_closed_and_those_of_what_there_is_not_are_open():
    given = [
        gates.missing("a", "why"),
        gates.not_applicable("b", "why"),
        gates.overlap(0.5, 9, 0.2),
    ]
    assert [gate.name for gate in gates.closed(given)] == ["a"]
    assert gates.overlap(0.1, 9, 0.2).verdict == "failed"
