import threading

from embedding_assets.api import service
from embedding_assets.apps.service import SimilarityService
from embedding_assets.workspace import open_workspace
from embedding_assets_tests.apps.shelf import ENCODER, published


def test_an_index_of_apps_is_opened_when_it_is_published_not_when_it_is_asked(
    open_client, monkeypatch
):
    monkeypatch.setattr(service, "_UPKEEP_SECONDS", 0.01)
    client = open_client(encoder=lambda: ENCODER)
    served = client.app.state.service
    opened = threading.Event()
    apps = served.apps()
    open_one = apps._served._open

    def noted(name):
        index = open_one(name)
        opened.set()
        return index

    monkeypatch.setattr(apps._served, "_open", noted)
    published(served.workspace().catalogue.snapshots)
    assert opened.wait(10)


def test_the_apps_are_warm_before_the_first_question(settings_of, open_client, monkeypatch):
    published(open_workspace(settings_of()).catalogue.snapshots)
    warmed = threading.Event()
    monkeypatch.setattr(SimilarityService, "warm_up", lambda _: warmed.set())
    monkeypatch.setattr(service.Upkeep, "start", lambda _: None)
    open_client(encoder=lambda: ENCODER)
    assert warmed.wait(10)
