import json

import pytest

from embedding_assets.defs.resources import configured_workspace
from embedding_assets.registry import ModelVersion
from embedding_assets.search.filters import parse_filters
from embedding_assets_tests.defs.test_documents import found, put, stamps, watch  # noqa: F401

LABELS = {
    "cooking": ("boil the onion soup", "bake bread in the oven", "fry the fish in oil"),
    "sailing": ("hoist the main sail", "the wind turns the boat", "drop the anchor at sea"),
}


def write_labels(place, labels=LABELS):
    folder = place.folder / "labels"
    folder.mkdir(exist_ok=True)
    for category, texts in labels.items():
        (folder / f"{category}.txt").write_text("\n".join(texts))
    return folder


@pytest.fixture
def labelled(inside, monkeypatch):
    monkeypatch.setenv("EMBEDDING_ASSETS_CLASSIFICATION__LABELS", str(write_labels(inside)))
    monkeypatch.setenv("EMBEDDING_ASSETS_CLASSIFICATION__ABSTAIN", "0")
    put(inside, "soup.json", "Boil the onion and fry the fish, then bake bread in the oven.")
    put(inside, "boat.json", "The wind turns the boat; hoist the sail and drop the anchor.")
    return inside


def categories(place):
    rows = place.warehouse("SELECT doc_id, category, best_category FROM doc_categories")
    return {doc_id: (category, best) for doc_id, category, best in rows}


def test_without_labels_nothing_is_said_and_nothing_fails(inside, watch):  # noqa: F811
    put(inside, "soup.json", "Boil the onions.")
    [run] = watch.act()
    assert categories(inside) == {}
    assert configured_workspace().table("document_classifier").footer().rows == 0
    assert found("onions", mode="keyword") == ["soup.json"]
    assert watch.act() == []


def test_documents_get_their_category_in_the_run_that_reads_them(labelled, watch):  # noqa: F811
    [run] = watch.act()
    assert {doc_id: best for doc_id, (_, best) in categories(labelled).items()} == {
        "boat.json": "sailing",
        "soup.json": "cooking",
    }
    library = configured_workspace().library
    hits = library.search.search("the", filters=parse_filters(["category=Sailing"]))
    assert {(hit.doc_id, hit.category) for hit in hits} == {("boat.json", "sailing")}
    assert library.search.facets().categories[0].count == 1
    assert watch.act() == []


def test_a_trained_classifier_is_registered_with_its_pictures(labelled, watch):  # noqa: F811
    watch.act()
    workspace = configured_workspace()
    digest = workspace.categories.classifier.digest
    version = workspace.registry.version_of("document_classifier", digest)
    assert version == ModelVersion("document_classifier", "1", digest)
    client = workspace.registry.client
    run = client.get_model_version("document_classifier", "1").run_id
    names = {each.path for each in client.list_artifacts(run)}
    assert names >= {"confusion.png", "reliability.png", "model"}
    assert "macro_f1" in client.get_run(run).data.metrics


def test_new_labels_renew_the_categories_and_embed_no_document(labelled, watch):  # noqa: F811
    watch.act()
    before = stamps(labelled)
    moved = (*LABELS["sailing"], *LABELS["cooking"])
    write_labels(labelled, {"sailing": moved, "cooking": ("cars and roads", "engines of trucks")})
    [run] = watch.act()
    assert stamps(labelled) == before
    assert categories(labelled)["soup.json"][1] == "sailing"
    assert watch.act() == []
    client = configured_workspace().registry.client
    assert len(client.search_model_versions("name = 'document_classifier'")) == 2


def test_labels_that_cannot_be_used_leave_the_last_good_classifier(labelled, watch):  # noqa: F811
    watch.act()
    before = categories(labelled)
    digest = configured_workspace().categories.classifier.digest
    (labelled.folder / "labels" / "sailing.txt").unlink()
    put(labelled, "fish.json", "Fry the fish in oil and boil the soup.")
    watch.act()
    assert categories(labelled) == {**before, "fish.json": ("cooking", "cooking")}
    footer = configured_workspace().table("document_classifier").footer()
    assert "only one category, 'cooking'" in footer.stats["problem"]
    assert configured_workspace().categories.classifier.digest == digest
    assert watch.act() == [], "it is not tried again until the labels change"
    write_labels(labelled)
    assert watch.act()
    assert "problem" not in configured_workspace().table("document_classifier").footer().stats


def test_labels_that_never_could_be_used_hold_up_no_document(labelled, watch):  # noqa: F811
    (labelled.folder / "labels" / "sailing.txt").unlink()
    watch.act()
    assert categories(labelled) == {}
    assert found("onion", mode="keyword") == ["soup.json"]
    assert watch.act() == []


def test_when_labels_are_taken_away_the_categories_go(labelled, watch, monkeypatch):  # noqa: F811
    watch.act()
    monkeypatch.delenv("EMBEDDING_ASSETS_CLASSIFICATION__LABELS")
    assert watch.act()
    assert categories(labelled) == {}
    assert watch.act() == []


def test_a_deleted_document_has_no_category(labelled, watch):  # noqa: F811
    watch.act()
    (labelled.documents / "soup.json").unlink()
    watch.act()
    assert set(categories(labelled)) == {"boat.json"}


def test_names_and_descriptions_alone_are_enough(inside, watch, monkeypatch):  # noqa: F811
    described = inside.folder / "categories.json"
    described.write_text(json.dumps({"cooking": "soup and bread", "sailing": "boat and wind"}))
    monkeypatch.setenv("EMBEDDING_ASSETS_CLASSIFICATION__CATEGORIES", str(described))
    put(inside, "boat.json", "The wind turns the boat.")
    watch.act()
    assert categories(inside)["boat.json"][1] == "sailing"
