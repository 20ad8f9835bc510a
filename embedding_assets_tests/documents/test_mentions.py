import pyarrow as pa
import pytest

from embedding_assets.documents import mentions as module
from embedding_assets.documents.mentions import _beginnings as beginnings
from embedding_assets.documents.mentions import mentions


def chunks(*rows):
    names = ("text", "heading_path", "pages")
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])


def entities(*rows):
    names = ("label", "text", "page")
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])


def found(*arguments):
    return [[each["text"] for each in row] for row in mentions(*arguments)]


def test_an_entity_belongs_to_the_passage_that_holds_it():
    table = chunks(("Acme paid\n  Zoë.", [], []), ("Nobody paid.", ["Terms of ACME"], []))
    assert found(table, entities(("ORG", "Acme", None), ("PER", "Zoë", None))) == [
        ["Acme", "Zoë"],
        ["Acme"],
    ]


def test_not_to_one_on_another_page():
    table = chunks(("Acme paid.", [], [1]), ("Acme was paid.", [], [2, 3]), ("Acme", [], []))
    assert found(table, entities(("ORG", "Acme", 3))) == [[], ["Acme"], ["Acme"]]


def test_not_to_one_that_has_it_only_within_other_words():
    table = chunks(("Pacman and acmeology", [], []), ("the acme-based one", [], []))
    assert found(table, entities(("ORG", "Acme", None))) == [[], ["Acme"]]


def test_each_is_there_once_with_its_label():
    table = chunks(
        ("Acme and Acme", [], [1]),
    )
    rows = entities(("ORG", "Acme", 1), ("ORG", "Acme", 1), ("MISC", "Acme", 1), ("ORG", "", 1))
    assert mentions(table, rows) == [
        [{"label": "ORG", "text": "Acme"}, {"label": "MISC", "text": "Acme"}]
    ]


def test_case_and_white_space_make_no_other_entity_and_the_usual_spelling_is_told():
    table = chunks(("ACME\n Corp paid.", [], [1]), ("Acme Corp was paid.", [], [2]))
    rows = entities(
        ("ORG", "ACME\nCorp", 1), ("ORG", "Acme Corp", 2), ("ORG", "Acme  Corp", 3),
        ("PER", "acme corp", 2),
    )  # fmt: skip
    assert mentions(table, rows) == [
        [{"label": "ORG", "text": "Acme Corp"}],
        [{"label": "ORG", "text": "Acme Corp"}, {"label": "PER", "text": "acme corp"}],
    ]


def test_letters_composed_or_not_are_the_same():
    assert found(chunks(("Zoe\u0308", [], [])), entities(("PER", "Zo\u00eb", None))) == [
        ["Zo\u00eb"]
    ]


@pytest.mark.parametrize(
    ("text", "name", "held"),
    [
        ("paid $5.", "$5", True),
        ("paid $55.", "$5", False),
        ("paid US$5", "$5", True),
        ("C++ and C", "C++", True),
        ("a_b", "b", True),
        ("A.B. Foo", "A.B.", True),
        ("ab ab abc", "abc", True),
        ("acme", "acme corporation", False),
    ],
)
def test_where_a_name_begins_and_ends(text, name, held):
    assert bool(found(chunks((text, [], [])), entities(("X", name, None)))[0]) is held


def test_a_passage_is_read_once_however_many_entities_there_are(monkeypatch):
    read = []
    monkeypatch.setattr(
        module, "_beginnings", lambda text: (read.append(text), beginnings(text))[1]
    )
    names = [f"Name{number} of it" for number in range(50)]
    table = chunks(*((f"{name} here", [], []) for name in names))
    assert found(table, entities(*(("X", name, None) for name in names))) == [[n] for n in names]
    assert len(read) == 100


def test_without_entities_every_passage_has_none():
    assert mentions(chunks(("a", [], []), ("b", None, None)), entities()) == [[], []]
