import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedding_assets.api.middleware.json_guard import MAX_DEPTH, fault_in

DEEPEST = "[" * MAX_DEPTH + "]" * MAX_DEPTH


@pytest.mark.parametrize(
    "text",
    ['{"a": [1, 2]}', '"NaN and [[[["', '"\\"[[[[ NaN"', '{"Infinity": "NaN"}', DEEPEST, "", "{"],
)
def test_harmless_json_has_no_fault(text):
    assert fault_in(text.encode()) is None


@pytest.mark.parametrize("text", ["NaN", '{"a": -Infinity}', '["x", Infinity]', '"a" NaN "b"'])
def test_nan_and_infinities_are_a_fault(text):
    assert "NaN" in fault_in(text.encode())


@pytest.mark.parametrize("text", [f"[{DEEPEST}]", '{"a":' * 33, "[" * 2_000_000])
def test_deep_nesting_is_a_fault(text):
    assert "nested" in fault_in(text.encode())


@pytest.mark.parametrize("text", ['"' + '\\"' * 1_000_000, '""' * 1_000_000, '"' * 1_000_001])
def test_no_text_takes_more_than_a_moment(text):
    assert fault_in(text.encode()) is None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@given(values)
def test_brackets_and_words_in_strings_do_not_count(value):
    assert fault_in(json.dumps({"NaN[[[": value}, ensure_ascii=False).encode()) is None
