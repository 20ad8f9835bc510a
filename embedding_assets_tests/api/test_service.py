import threading
import time

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


def test_experiments_steer_once_a_database_that_was_not_there_at_the_start_is(
    open_client, monkeypatch, tmp_path
):
    monkeypatch.setattr(service, "_UPKEEP_SECONDS", 0.01)
    folder = tmp_path / "later"
    folder.write_text("no folder yet")
    client = open_client(database_url=f"sqlite:///{folder / 'service.db'}")
    served = client.app.state.service
    served.parts._warming.join()
    assert not served.experiments._traffic.is_open
    folder.unlink()
    deadline = time.monotonic() + 60
    while not served.experiments._traffic.is_open and time.monotonic() < deadline:
        time.sleep(0.01)
    assert served.experiments._traffic.is_open
