import pytest

from embedding_assets.alerts.standing import Standing

DAY = 86_400


def look(standing, wrong, now, after=0):
    """Another look, and what is told of it."""
    found = Standing.from_json(standing.to_json()).at(wrong, now)
    due = found.due("email", now, after)
    return found.telling(due, ["email"], now), due


def test_a_thing_is_told_when_it_begins_and_again_each_day():
    standing, due = look(Standing(), {"a"}, 1_000)
    assert due == {"a"}
    standing, due = look(standing, {"a", "b"}, 1_060)
    assert due == {"b"}
    standing, due = look(standing, {"a", "b"}, 1_000 + DAY)
    assert due == {"a"}


def test_a_thing_that_was_mended_is_told_when_it_begins_anew():
    standing, _ = look(Standing(), {"a"}, 1_000)
    standing, due = look(standing, set(), 1_060)
    assert due == set() and standing == Standing()
    assert look(standing, {"a"}, 1_120)[1] == {"a"}


def test_a_thing_may_be_wrong_for_a_while_before_it_is_told():
    standing, due = look(Standing(), {"a"}, 1_000, after=600)
    assert due == set()
    standing, due = look(standing, {"a"}, 1_500, after=600)
    assert due == set()
    standing, due = look(standing, {"a"}, 1_600, after=600)
    assert due == {"a"}
    assert look(standing, {"a"}, 1_700, after=600)[1] == set()


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"a": 1}', '{"a": {"since": "x"}}'])
def test_a_cursor_of_another_kind_is_begun_anew(text):
    assert Standing.from_json(text) == Standing()


def test_what_one_way_did_not_tell_is_due_by_that_way_alone():
    standing = Standing().at({"a"}, 1_000).telling({"a"}, ["webhook"], 1_000)
    kept = Standing.from_json(standing.to_json())
    assert kept.due("webhook", 1_060) == set() and kept.due("email", 1_060) == {"a"}
    told = kept.telling({"a"}, ["email"], 1_060)
    assert told.due("webhook", 1_000 + DAY) == {"a"}
    assert told.due("email", 1_000 + DAY) == set()


def test_what_an_older_version_told_is_told_by_every_way():
    kept = Standing.from_json(
        '{"a": {"since": 900, "told": 1000}, "b": {"since": 9, "told": null}}'
    )
    assert [kept.due(way, 1_060) for way in ("log", "webhook", "email")] == [{"b"}] * 3
