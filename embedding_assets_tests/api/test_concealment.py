import pytest

from embedding_assets.api import concealment
from embedding_assets.api.concealment import conceal, public


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(concealment, "_known", set())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("No index stands in /srv/data/store/index.", "No index stands in index."),
        ("No index stands in /srv/acme.", "No index stands in acme."),
        ("The file '/home/ann/a b.txt' is torn.", "The file 'a b.txt' is torn."),
        ("The database /home/John Doe/data/a.db is gone", "The database a.db is gone"),
        ("in '/srv/acme secret project/store/x.db': gone", "in 'x.db': gone"),
        ("[Errno 2] '/srv/a,b/c/d.db'", "[Errno 2] 'd.db'"),
        ('"/srv/ann\'s/x y.db"', '"x y.db"'),
        ("/srv/a:b/c/x.db", "x.db"),
        ("/srv/über/geheim/x.db", "x.db"),
        ("(/srv/a/b.db)", "(b.db)"),
        ("path=/srv/x/y.db", "path=y.db"),
        ("file:///srv/acme/x.db is gone", "x.db is gone"),
        (r"C:\Users\John Doe\x.db is gone", "x.db is gone"),
        (r"\\host\share\x.db is gone", "x.db is gone"),
        ("Use 1/2 or http://127.0.0.1/docs", "Use 1/2 or http://127.0.0.1/docs"),
        ("Try /docs or http://h/docs and/or x", "Try /docs or http://h/docs and/or x"),
        ("GET /health/live", "GET live"),
        ("Look at /docs.", "Look at /docs."),
    ],
)
def test_messages_lose_the_folders_of_the_machine(text, shown):
    assert public(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ann:secret@db/x is gone", "postgresql://db/x is gone"),
        ("postgresql://u:p@ss@h/db", "postgresql://h/db"),
        ("postgresql://u:p/a@ss@h:5/db", "postgresql://h:5/db"),
        ("postgresql://h/db?password=geheim is gone", "postgresql://h/db?password=… is gone"),
    ],
)
def test_messages_lose_passwords(text, shown):
    assert public(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("data/store/clients/acme/service.db is gone", "service.db is gone"),
        ("No app in data/input/my apps.", "No app in my apps."),
        ("data/stores are no data/store", "data/stores are no store"),
        ("/srv/big secret/my store/a.db and /srv/big secret/my store", "a.db and my store"),
        ("in /srv/big secret/my store too/x.db", "in x.db"),
        ("any apps", "any apps"),
    ],
)
def test_folders_of_the_settings_are_known_whatever_they_hold(text, shown, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    conceal(["data/store", "data/input/my apps", "/srv/big secret/my store", "apps", "s3://a/b"])
    assert public(text) == shown
    assert public(f"{tmp_path}/data/store/x/a.db") == "a.db"


def test_of_a_message_that_never_ends_the_beginning_is_told():
    assert public("x " * 100_000) == "x " * 2_000
