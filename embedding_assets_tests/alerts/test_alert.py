import json
import math

import pytest

from embedding_assets.alerts import Alert


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://bob:hunter2@db/x is down", "postgresql://…@db/x is down"),
        ("password=hunter2 host=db", "password=… host=db"),
        ('{"api_key": "hunter2", "a": 1}', '{"api_key": "…", "a": 1}'),
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: Bearer …"),
        ("https://store/x?sig=hunter2&v=1", "https://store/x?sig=…&v=1"),
        ("AWS_SECRET_TOKEN: hunter2", "AWS_SECRET_TOKEN: …"),
        ("the key " + "ea_" + "x" * 43, "the key ea_…"),
        ("3 tokens were cut; the keyword is fine", "3 tokens were cut; the keyword is fine"),
        ("tokens: 3", "tokens: 3"),
    ],
)
def test_secrets_are_struck_out_of_texts_and_nothing_else(text, shown):
    assert Alert("x", "t", text).shown().text == shown


def test_given_secrets_are_struck_out_wherever_they_stand():
    alert = Alert(
        "x", "a swordfish", "swordfish!", {"swordfish": ["swordfish", {"a": "swordfish"}]}
    )
    assert "swordfish" not in repr(alert.shown(["swordfish"]))


def test_facts_with_a_secret_name_are_struck_out_at_any_depth():
    facts = {"password": "x1", "tags": {"smtp_password": "x2", "run": "7"}, "list": [{"token": 3}]}
    shown = Alert("x", "t", "", facts).shown().facts
    assert shown == {
        "password": "…", "tags": {"smtp_password": "…", "run": "7"}, "list": [{"token": "…"}],
    }  # fmt: skip


def test_facts_are_what_json_can_hold():
    facts = {"nan": math.nan, "inf": -math.inf, "path": object, "n": 2, "none": None, "set": {1}}
    shown = Alert("x", "t", "", facts).shown().facts
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
    assert shown["n"] == 2 and shown["nan"] == "nan" and shown["set"] == [1]


def test_long_and_many_lined_alerts_are_cut():
    alert = Alert("x", "a\r\nBcc: all@example.com\n" + "t" * 500, "y" * 10_000, {"z": "z" * 10_000})
    shown = alert.shown()
    assert "\n" not in shown.title and len(shown.title) == 200
    assert len(shown.text) == len(shown.facts["z"]) == 4_000


def test_a_thing_is_known_by_kind_title_and_severity():
    first, second = Alert("x", "t", "once", {"n": 1}), Alert("x", "t", "twice", {"n": 2})
    assert first.key == second.key != Alert("y", "t", "once").key
    assert first.key != Alert("x", "t", "once", severity="warning").key
