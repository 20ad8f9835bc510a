import pyarrow as pa

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


def test_without_entities_every_passage_has_none():
    assert mentions(chunks(("a", [], []), ("b", None, None)), entities()) == [[], []]
