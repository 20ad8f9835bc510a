import pytest

from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.embedding.store import VectorStore, text_keys
from embedding_assets.embedding.upkeep import Upkeep, keep_within_budget
from embedding_assets.errors import StoreLockedError
from embedding_assets.storage.lock import locked


def segments(store):
    return sorted(store.folder.glob("*.parquet"))


def filled(root, dimension, texts):
    encoder = HashingEncoder(dimension)
    store = VectorStore.of(root, encoder)
    for text in texts:
        store.encode([text], encoder)
    return store


def test_within_its_budget_the_store_is_only_merged(tmp_path):
    store = filled(tmp_path, 4, ["one", "two", "three"])
    upkeep = keep_within_budget(tmp_path, 10**9, live=[store.fingerprint])
    size = sum(path.stat().st_size for path in segments(store))
    assert upkeep == Upkeep(merged_segments=2, dropped_models=0, dropped_segments=0, bytes=size)
    assert len(store) == 3


def test_beyond_its_budget_the_store_drops_other_models_first(tmp_path):
    old, live = filled(tmp_path, 4, ["one", "two"]), filled(tmp_path, 8, ["one", "two"])
    budget = sum(path.stat().st_size for path in segments(live))
    upkeep = keep_within_budget(tmp_path, budget, live=[live.fingerprint])
    assert (upkeep.dropped_models, upkeep.dropped_segments) == (1, 0)
    assert (len(old), len(live)) == (0, 2)


def test_the_live_model_loses_its_oldest_segments_last(tmp_path):
    encoder = HashingEncoder(4)
    live = filled(tmp_path, 4, ["one", "two", "three"])
    budget = sum(path.stat().st_size for path in segments(live)[1:])
    upkeep = keep_within_budget(tmp_path, budget, live=[live.fingerprint])
    assert (upkeep.dropped_models, upkeep.dropped_segments) == (0, 1)
    keys = text_keys(["one", "two", "three"], encoder.fingerprint)
    assert live.contains(keys).tolist() == [False, True, True]
    assert upkeep.bytes <= budget


def test_no_two_processes_do_the_upkeep_at_once(tmp_path):
    filled(tmp_path, 4, ["one"])
    with locked(tmp_path / "upkeep.lock", 0), pytest.raises(StoreLockedError):
        keep_within_budget(tmp_path, 0)


def test_the_upkeep_of_an_absent_store_does_nothing(tmp_path):
    assert keep_within_budget(tmp_path / "vectors", 0) == Upkeep(0, 0, 0, 0)
