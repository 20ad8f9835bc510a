import json
import random
import tracemalloc
from dataclasses import replace

import pytest

from embedding_assets.documents.entities.labelled import (
    Collection,
    Example,
    Span,
    apart,
    folds,
    hold_out,
    tags_of,
)
from embedding_assets.documents.entities.reading import (
    labelled_digest,
    labelled_files,
    read_labelled,
)
from embedding_assets.errors import (
    EmptyInputError,
    InputError,
    InputNotFoundError,
    UnreadableInputError,
)


def example(*labels):
    spans = tuple(Span(place, place + 1, label) for place, label in enumerate(labels))
    return Example(("word",) * max(1, len(labels)), spans)


def gathered(*examples, most=100):
    collection = Collection(most)
    collection.add(examples)
    return collection.labelled("here")


def test_labels_that_differ_in_case_are_one_in_its_most_frequent_spelling():
    found = gathered(example("ORG", "org"), example("ORG", "Loc"), example())
    assert found.labels == ("Loc", "ORG")
    assert [span.label for span in found.examples[0].spans] == ["ORG", "ORG"]


def test_empty_texts_are_left_out_and_counted():
    found = gathered(example("ORG"), Example((), ()))
    assert (len(found.examples), found.notes) == (1, {"empty texts left out": 1})


def test_nothing_marked_is_an_error():
    with pytest.raises(EmptyInputError, match="here holds 2 sentences and no entity"):
        gathered(example(), example())


def test_a_column_of_ids_is_no_column_of_tags():
    drawn = []

    def ids():
        for number in range(1_000):
            drawn.append(number)
            yield example(f"id-{number}", f"ID-{number}")

    with pytest.raises(
        InputError, match=r"more than 150 labels of entities, such as 'id-150'.*column"
    ):
        Collection().add(ids())
    assert len(drawn) == 151, "no more is read"


def test_many_spans_are_told_apart_by_their_neighbours():
    drawn = random.Random(0)
    spans = [
        Span(start, start + drawn.randrange(1, 6), "A")
        for start in (drawn.randrange(300) for _ in range(200))
    ]
    found, dropped = apart(spans)
    longest = sorted({*spans}, key=lambda each: (each.start - each.end, each.start))
    kept = []
    for span in longest:
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    assert found == sorted(kept, key=lambda each: each.start)
    assert dropped == len(longest) - len(kept)
    many = [Span(3 * number, 3 * number + 2, "A") for number in range(50_000)]
    assert apart(many) == (many, 0)


def test_tags_begin_each_entity():
    spans = (Span(0, 2, "ORG"), Span(2, 3, "ORG"))
    assert tags_of(Example(("a", "b", "c", "d"), spans)) == ["B-ORG", "I-ORG", "B-ORG", "O"]


def sentence(words, *labels):
    return replace(example(*labels), words=tuple(words.split()))


def test_a_label_that_one_example_has_is_trained_on():
    examples = [sentence(f"word {n}", "ORG") for n in range(9)] + [sentence("a b", "RARE")]
    for seed in range(5):
        rest, held = hold_out(examples, 0.5, seed)
        assert examples[-1] in rest and len(held) == 5


def test_no_label_is_held_out_whole():
    examples = [
        *(sentence(f"word {n}", "ORG") for n in range(8)),
        *(sentence(f"two {n}", "TWO") for n in range(2)),
        *(sentence(f"three {n}", "THREE", "TWO" if n else "ORG") for n in range(3)),
    ]
    for seed in range(50):
        rest, held = hold_out(examples, 0.8, seed)
        assert len(rest) + len(held) == 13
        assert {span.label for each in rest for span in each.spans} == {"ORG", "TWO", "THREE"}


def test_repeated_sentences_are_on_one_side():
    once = [sentence(f"word {n}", "ORG") for n in range(30)]
    examples = [*once, *once[:10], *(replace(each, spans=()) for each in once[:5])]
    for seed in range(20):
        rest, held = hold_out(examples, 0.4, seed)
        assert not {each.words for each in rest} & {each.words for each in held}
        assert 15 <= len(held) <= 18
        for rest, held in folds(examples, 4, seed):
            assert not {each.words for each in rest} & {each.words for each in held}


def test_without_repeats_the_draw_is_that_of_single_sentences():
    examples = [sentence(f"word {n}", "ORG") for n in range(20)]
    order = list(range(20))
    random.Random(3).shuffle(order)
    assert hold_out(examples, 0.2, 3)[1] == [examples[place] for place in sorted(order[:4])]
    assert next(folds(examples, 5, 3))[1] == [examples[place] for place in sorted(order[::5])]


def test_each_example_is_in_one_fold():
    examples = [sentence(f"word {number}", str(number)) for number in range(11)]
    parts = list(folds(examples, 5))
    assert sorted(each.spans[0].label for _, held in parts for each in held) == sorted(
        str(number) for number in range(11)
    )
    assert all(not {*rest} & {*held} and len(rest) + len(held) == 11 for rest, held in parts)


def test_sentences_of_a_rare_label_are_spread_over_folds():
    examples = [sentence(f"word {number}", "ORG") for number in range(40)]
    examples += [sentence(f"rare {label} {n}", label, "ORG") for label in "ABC" for n in range(2)]
    for seed in range(20):
        for rest, _ in folds(examples, 4, seed):
            assert {"A", "B", "C"} <= {span.label for each in rest for span in each.spans}


def test_fewer_sentences_than_folds_are_named():
    with pytest.raises(InputError, match="There are 1 different sentences for 2 folds"):
        next(folds([sentence("word", "ORG")] * 3, 2))


@pytest.mark.parametrize("name", ["a.conll", "a.json"])
def test_a_label_that_is_too_long_is_named(tmp_path, name):
    label = "L" * 101
    entry = {"text": "Acme", "spans": [{"end": 4, "label": label}]}
    (tmp_path / name).write_text(json.dumps(entry) if name == "a.json" else f"Acme\tB-{label}\n")
    with pytest.raises(InputError, match="Labels of entities have more than 100 letters, such as"):
        read_labelled(tmp_path)


def test_of_more_examples_a_fixed_sample_is_kept_in_order():
    examples = [sentence(str(number), "ORG") for number in range(1_000)]
    first, again = (gathered(*examples, most=50) for _ in range(2))
    numbers = [int(each.words[0]) for each in first.examples]
    assert first == again
    assert numbers == sorted(numbers) and len(numbers) == 50 and max(numbers) > 500
    assert first.seen == 1_000
    assert first.notes == {"sentences that a sample of 50 stands for": 1_000}


@pytest.mark.parametrize("name", ["large.txt", "large.jsonl"])
def test_a_large_file_is_read_in_bounded_memory(tmp_path, name, monkeypatch):
    monkeypatch.setattr("embedding_assets.documents.entities.marked._READ_AT_ONCE", 10_000)
    entry = (
        "Acme B-ORG\nof O\nOslo B-LOC\n\n"
        if name == "large.txt"
        else '{"text": "Acme", "spans": [{"end": 4, "label": "ORG"}]}\n'
    )
    path = tmp_path / name
    path.write_text(entry * (1_000_000 // len(entry)))
    tracemalloc.start()
    try:
        found = read_labelled(path, most=100)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found.examples) == 100 and found.seen > 15_000
    assert peak < 500_000


def test_a_folder_is_read_file_by_file_without_its_readme(tmp_path):
    (tmp_path / "a.txt").write_text("Acme B-ORG\n")
    (tmp_path / "b.jsonl").write_text('{"text": "Oslo", "spans": [{"end": 4, "label": "LOC"}]}')
    (tmp_path / "README.txt").write_text("Some words about it\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert read_labelled(tmp_path).labels == ("LOC", "ORG")
    before = labelled_digest(tmp_path)
    (tmp_path / "a.txt").write_text("Acme B-ORGANISATION\n")
    assert labelled_digest(tmp_path) != before


def test_what_editors_and_systems_leave_in_a_folder_is_no_labelled_file(tmp_path):
    (tmp_path / "a.txt").write_text("Acme B-ORG\n")
    before = labelled_digest(tmp_path)
    (tmp_path / ".#a.txt").symlink_to("user@host.1:2")
    (tmp_path / "gone.txt").symlink_to("nowhere")
    (tmp_path / "._a.txt").write_bytes(b"\0\xff")
    (tmp_path / "old.txt").mkdir()
    assert labelled_digest(tmp_path) == before
    assert read_labelled(tmp_path).labels == ("ORG",)


@pytest.mark.parametrize("method", ["open", "iterdir"])
def test_labelled_files_that_may_not_be_read_are_named(tmp_path, monkeypatch, method):
    (tmp_path / "a.txt").write_text("Acme B-ORG\n")

    def refused(path, *given, **named):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(f"pathlib.Path.{method}", refused)
    for read_it in (labelled_digest, read_labelled):
        with pytest.raises(UnreadableInputError, match="cannot be read: .*Permission denied"):
            read_it(tmp_path)


def test_a_folder_without_labelled_files_is_named(tmp_path):
    with pytest.raises(InputNotFoundError, match="holds no labelled file"):
        labelled_files(tmp_path)
