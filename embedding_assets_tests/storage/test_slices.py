import pyarrow as pa
import pytest

from embedding_assets.storage.slices import Slices, digest_of, table_slice


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        (("a", ""), ("a",)),
        (("a", None), ("a", "None")),
        ((["a"], "b"), (["a", "b"],)),
        ((1,), ("1",)),
    ],
)
def test_digests_of_different_parts_differ(one, other):
    assert digest_of(*one) != digest_of(*other)


def test_a_digest_is_the_same_in_every_process_and_release():
    assert digest_of("raw_records", "1", None, [1, 2.5]) == (
        "926d261323a73421ca9e4c450eab2b4116eda2506728e1855307d08008357eea"
    )


def test_a_table_at_hand_is_a_slice():
    part = table_slice(pa.table({"n": [1, 2]}), "digest", "key", files=3)
    assert (part.key, part.digest, part.stats) == ("key", "digest", {"files": 3})
    assert pa.Table.from_batches(part.batches()) == pa.table({"n": [1, 2]})


def test_slices_are_drawn_one_by_one():
    drawn = []

    def parts():
        for key in ("a", "b"):
            drawn.append(key)
            yield table_slice(pa.table({}), "digest", key)

    iterator = iter(Slices(parts()))
    assert (next(iterator).key, drawn) == ("a", ["a"])
