import pytest

from embedding_assets.search.build import build_index
from embedding_assets.search.facets import (
    CategoryCount,
    EntityCount,
    LabelCount,
    facets_of_hits,
)
from embedding_assets.search.filters import parse_filters
from embedding_assets.search.snapshots import Snapshots
from embedding_assets_tests.search.collection import TEXTS, Collection, searcher

ACME, ZOE = {"label": "ORG", "text": "Acme"}, {"label": "PER", "text": "Zoë"}


@pytest.fixture
def snapshots(tmp_path):
    found = Snapshots(tmp_path / "index")
    documents = {
        "soup": {"category": "food", "entities": [ACME]},
        "cake": {"category": "food", "entities": [ACME, ZOE]},
        "law": {"category": "law"},
    }
    build_index(found, Collection({**TEXTS, "memo": ["a memo"]}, **documents).source)
    return found


def test_counts_of_the_whole_index(snapshots):
    found = searcher(snapshots).facets()
    assert (found.passages, found.documents) == (7, 4)
    assert found.categories == (CategoryCount("food", 2), CategoryCount("law", 1))
    assert found.labels == (LabelCount("ORG", 5), LabelCount("PER", 3))
    assert found.entities == (EntityCount("ORG", "Acme", 5), EntityCount("PER", "Zoë", 3))


def test_counts_of_what_meets_filters(snapshots):
    found = searcher(snapshots).facets(parse_filters(["entity=acme", "page=1"]))
    assert (found.passages, found.documents) == (2, 2)
    assert found.categories == (CategoryCount("food", 2),)
    assert found.labels == (LabelCount("ORG", 2), LabelCount("PER", 1))
    nothing = searcher(snapshots).facets(parse_filters(["category=none"]))
    assert (nothing.passages, nothing.documents, nothing.entities) == (0, 0, ())


def test_an_entity_in_another_case_is_the_same_and_spelled_as_most_often(tmp_path):
    documents = {
        "soup": {"entities": [{"label": "ORG", "text": "ACME"}, {"label": "MISC", "text": "acme"}]},
        "cake": {"entities": [ACME]},
    }
    found = Snapshots(tmp_path / "index")
    build_index(found, Collection(TEXTS, **documents).source)
    entities = (EntityCount("ORG", "Acme", 5), EntityCount("MISC", "acme", 2))
    assert searcher(found).facets().entities == entities
    assert facets_of_hits(searcher(found).search("cake soup", "hybrid", 20)).entities == entities


def test_only_the_most_frequent_entities_are_named(snapshots):
    assert searcher(snapshots).facets(most=1).entities == (EntityCount("ORG", "Acme", 5),)


def test_forgotten_documents_are_not_counted(snapshots):
    snapshots.tombstones.add(["cake"])
    found = searcher(snapshots).facets()
    assert found.categories == (CategoryCount("food", 1), CategoryCount("law", 1))
    assert found.labels == (LabelCount("ORG", 2),)


def test_counts_of_an_answer(snapshots):
    hits = searcher(snapshots).search("cake", "keyword", filters=parse_filters(["category=food"]))
    assert {hit.category for hit in hits} == {"food"}
    found = facets_of_hits(hits)
    assert (found.passages, found.documents) == (3, 1)
    assert found.categories == (CategoryCount("food", 1),)
    assert found.entities == (EntityCount("ORG", "Acme", 3), EntityCount("PER", "Zoë", 3))
