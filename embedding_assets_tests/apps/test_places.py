import pytest

from embedding_assets.apps import places
from embedding_assets.apps.places import _Spellings

IDS = ("Chess", "checkers", "APP_12", "APP_123", "app_200", "radio")


@pytest.mark.parametrize(
    ("asked", "close"),
    [
        ("CHESS", ["Chess"]),
        ("chess1", ["Chess"]),
        ("app_124", ["APP_12", "APP_123"]),
        ("APP_12x", ["APP_12", "APP_123"]),
        ("zzz", []),
        ("", []),
        ("c" * 100_000, []),
    ],
)
def test_ids_are_close_that_are_spelled_alike(asked, close):
    assert _Spellings(IDS).close_to(asked)[:2] == close


def test_no_more_than_a_few_ids_are_compared(monkeypatch):
    compared = []
    monkeypatch.setattr(
        places, "get_close_matches", lambda wanted, alike, n: compared.extend(alike) or []
    )
    found = _Spellings(f"APP_{n}" for n in range(20_000))
    for asked in ("APP_x", "APP_12345x", "APP_zzzz"):
        compared.clear()
        found.close_to(asked)
        assert 0 < len(compared) <= 20
