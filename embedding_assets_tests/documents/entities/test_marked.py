import json
from collections import Counter

import pytest

from embedding_assets.documents.entities.labelled import Span
from embedding_assets.documents.entities.marked import read_marked
from embedding_assets.errors import SchemaError, UnreadableInputError


def read(tmp_path, entries, notes=None):
    path = tmp_path / "marked.json"
    path.write_text(entries if isinstance(entries, str) else json.dumps(entries))
    return list(read_marked(path, Counter() if notes is None else notes))


def text(content, *spans):
    marks = [dict(zip(("start", "end", "label"), span, strict=True)) for span in spans]
    return {"text": content, "spans": marks}


def test_spans_of_characters_become_spans_of_words(tmp_path):
    [example] = read(tmp_path, [text("Acme Inc. of Oslo", (0, 8, "ORG"), (13, 17, "LOC"))])
    assert example.words == ("Acme", "Inc", ".", "of", "Oslo")
    assert example.spans == (Span(0, 2, "ORG"), Span(4, 5, "LOC"))


def test_a_start_of_zero_is_left_out_in_restaurant8k(tmp_path):
    label = {"slot": "time", "valueSpan": {"endIndex": 4}}
    [example] = read(tmp_path, [{"userInput": {"text": "9 pm please"}, "labels": [label]}])
    assert example.spans == (Span(0, 2, "time"),)


def test_json_lines_are_read_like_a_list(tmp_path):
    entries = [text("Oslo", (0, 4, "LOC")), text("no")]
    lines = "\n".join(map(json.dumps, entries))
    assert read(tmp_path, lines) == read(tmp_path, entries)


def test_of_overlapping_spans_the_longest_stays(tmp_path):
    notes = Counter()
    entry = text("Bank of New York", (8, 16, "LOC"), (0, 16, "ORG"), (0, 4, "ORG"))
    [example] = read(tmp_path, [entry], notes)
    assert example.spans == (Span(0, 4, "ORG"),)
    assert notes == {"spans that overlap a longer one left out": 2}


@pytest.mark.parametrize("place", [(-1, 2), (2, 2), (3, 1), (0, 99), (50, 60), (4, 5)])
def test_a_span_outside_its_text_is_left_out_and_counted(tmp_path, place):
    notes = Counter()
    [example] = read(tmp_path, [text("Oslo and more", (*place, "LOC"))], notes)
    assert (example.spans, notes) == ((), {"spans outside their text left out": 1})


def test_a_span_that_ends_within_a_word_is_learned_whole_and_never_counts_as_found(tmp_path):
    notes = Counter()
    [example] = read(tmp_path, [text("in Norwegian waters", (3, 7, "LOC"))], notes)
    assert example.spans == (Span(1, 2, "LOC", exact=False),)
    assert notes == {"spans widened to whole words": 1}


def test_spaces_at_the_ends_of_a_span_do_not_count(tmp_path):
    [example] = read(tmp_path, [text("in Oslo now", (2, 8, "LOC"))])
    assert example.spans == (Span(1, 2, "LOC"),)


@pytest.mark.parametrize(
    "entry",
    [
        7,
        {"text": 3},
        {"spans": []},
        text("a", (0, 1, "")),
        text("a", ("x", 1, "L")),
        "text",
        text("a", (0, float("inf"), "L")),
        text("a", (0, 1, "L\ud800")),
    ],
    ids=ascii,
)
def test_an_object_of_another_shape_is_named(tmp_path, entry):
    with pytest.raises(SchemaError, match="Object 2 of .*marked.json is no marked text"):
        read(tmp_path, [text("fine"), entry])


@pytest.mark.parametrize("portion", [7, 1_000_000])
def test_a_torn_file_is_named_with_object_and_line(tmp_path, monkeypatch, portion):
    monkeypatch.setattr("embedding_assets.documents.entities.marked._READ_AT_ONCE", portion)
    whole = json.dumps([text("Oslo", (0, 4, "LOC"))] * 3, indent=1)
    torn = whole[: whole.rindex("{")]
    line = torn.count("\n") + 1
    with pytest.raises(
        UnreadableInputError, match=f"no whole JSON: object 3, line {line}: Expecting"
    ):
        read(tmp_path, torn)


def test_bytes_that_are_no_text_are_named_with_the_object(tmp_path):
    (tmp_path / "marked.json").write_bytes(b'{"text": "a"}\xff')
    with pytest.raises(UnreadableInputError, match="object 1: .*utf-8"):
        list(read_marked(tmp_path / "marked.json", Counter()))


def test_objects_are_read_across_portions_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("embedding_assets.documents.entities.marked._READ_AT_ONCE", 7)
    entries = [text(f"Oslo {number}", (0, 4, "LOC")) for number in range(20)]
    assert [each.words[1] for each in read(tmp_path, entries)] == [str(n) for n in range(20)]


def test_a_text_is_read_sentence_by_sentence_unless_a_span_reaches_across(tmp_path):
    entry = text("He left. St. Paul is far. Oslo. Bergen too.", (26, 30, "A"), (32, 38, "B"))
    assert [(each.words, each.spans) for each in read(tmp_path, [entry])] == [
        (("He", "left", "."), ()),
        (("St", ".", "Paul", "is", "far", "."), ()),
        (("Oslo", "."), (Span(0, 1, "A"),)),
        (("Bergen", "too", "."), (Span(0, 1, "B"),)),
    ]
    across = text("See Yahoo! Inc. now. Bye.", (4, 15, "ORG"))
    first, second = read(tmp_path, [across])
    assert first.words[:5] == ("See", "Yahoo", "!", "Inc", ".")
    assert first.spans == (Span(1, 5, "ORG"),)
    assert second.words == ("Bye", ".")
