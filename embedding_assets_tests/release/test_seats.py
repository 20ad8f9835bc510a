import json
from dataclasses import asdict

import pytest

from embedding_assets.errors import StoreDamagedError, StoreLockedError
from embedding_assets.release.seats import Challenger, Seat, Seats, SeatsFile

FIRST = Seat("mini", fingerprint="f1")
SECOND = Seat("other", fingerprint="f2", folder="spaces/f2")
THIRD = Seat("third", fingerprint="f3", folder="spaces/f3")


def trying(seat=SECOND, **more):
    return Seats(FIRST, "mini").with_challenger(Challenger(seat, **more))


def long_ago(left):
    return True


def lately(left):
    return False


def seats_of(lefts):
    return [left.seat for left in lefts]


def test_the_settings_model_serves_until_another_one_was_tried(tmp_path):
    file = SeatsFile(tmp_path)
    assert file.state() is None
    assert file.read(FIRST) == Seats(FIRST, "mini")


def test_seats_are_read_as_they_were_written(tmp_path):
    file = SeatsFile(tmp_path)
    seats = trying(source="models:/other/1", staged="2026-03-01T00:00:00+00:00").promoted()
    file.write(seats)
    before = file.state()
    assert file.read(THIRD) == seats
    file.write(seats.rolled_back())
    assert file.state() != before


@pytest.mark.parametrize(
    "text", ["", "{", '{"champion": 1}', '{"champion": {"model": "m"}, "x": 1}']
)
def test_seats_that_cannot_be_read_are_named(tmp_path, text):
    file = SeatsFile(tmp_path)
    file.path.parent.mkdir()
    file.path.write_text(text)
    with pytest.raises(StoreDamagedError, match="seats.json"):
        file.read(FIRST)


def test_promoting_and_going_back_end_where_they_began_but_for_the_challenger():
    promoted = trying(staged="now").promoted()
    assert (promoted.champion, promoted.challenger) == (SECOND, None)
    assert seats_of(promoted.earlier) == [FIRST]
    back = promoted.rolled_back()
    assert (back.champion, back.earlier) == (FIRST, ())
    assert back.challenger is not None and back.challenger.seat == SECOND
    assert back.challenger.staged


def test_going_back_while_another_one_is_tried_retires_who_leaves():
    back = trying().promoted().with_challenger(Challenger(THIRD)).rolled_back()
    assert back.challenger == Challenger(THIRD)
    assert seats_of(back.retired) == [SECOND]


def test_going_back_to_the_model_that_is_tried_tries_the_one_that_leaves():
    back = trying().promoted().with_challenger(Challenger(FIRST)).rolled_back()
    assert (back.champion, back.retired) == (FIRST, ())
    assert back.challenger is not None and back.challenger.seat == SECOND


def test_who_serves_is_not_among_those_to_go_back_to():
    seats = trying().promoted().with_challenger(Challenger(FIRST)).promoted()
    assert (seats.champion, seats_of(seats.earlier)) == (FIRST, [SECOND])


def test_a_challenger_remembers_when_it_was_complete_first():
    once = Challenger(SECOND).complete()
    again = once.complete()
    assert once.first == once.staged == again.first
    assert again.staged > once.staged


def test_every_change_of_the_seats_is_one_that_the_registry_does_not_know_yet():
    assert Seats(FIRST, "mini").aliased
    changed = [trying(), trying().promoted(), trying().promoted().rolled_back()]
    assert not any(seats.aliased for seats in changed)


def test_another_challenger_retires_the_one_before_it_and_the_same_one_does_not():
    assert seats_of(trying().with_challenger(Challenger(THIRD)).retired) == [SECOND]
    assert trying().with_challenger(Challenger(SECOND, staged="now")).retired == ()
    dropped = trying().with_challenger(None)
    assert seats_of(dropped.retired) == [SECOND]
    assert dropped.with_challenger(Challenger(SECOND)).retired == ()


def test_a_seat_is_unused_only_when_nothing_else_names_it():
    promoted = trying().promoted()
    assert promoted.retiring(lately) == promoted
    old = promoted.retiring(long_ago)
    assert (old.earlier, old.unused(long_ago)) == ((), (FIRST,))
    again = old.with_challenger(Challenger(THIRD)).promoted().rolled_back()
    assert again.with_challenger(Challenger(FIRST)).unused(long_ago) == (THIRD,)


@pytest.mark.parametrize(
    "left",
    [
        trying().promoted().with_challenger(Challenger(THIRD)).rolled_back(),
        trying().promoted().rolled_back().with_challenger(None),
        trying().promoted().rolled_back().with_challenger(Challenger(THIRD)),
    ],
    ids=["while a third one is tried", "and was dropped", "and gave way"],
)
def test_a_model_that_served_is_unused_only_when_it_left_long_ago(left):
    assert seats_of(left.retired) == [SECOND]
    assert left.unused(lately) == ()
    assert left.unused(long_ago) == (SECOND,)
    again = left.with_challenger(Challenger(SECOND)).with_challenger(None)
    assert SECOND in seats_of(again.retired)
    assert SECOND not in again.unused(lately)


def test_a_challenger_that_never_served_is_unused_at_once():
    assert trying().with_challenger(None).unused(lately) == (SECOND,)


def test_going_back_twice_ends_at_the_model_before_the_one_before():
    seats = trying().promoted().with_challenger(Challenger(THIRD)).promoted()
    once = seats.rolled_back()
    twice = once.rolled_back()
    assert (once.champion, twice.champion, twice.earlier) == (SECOND, FIRST, ())
    assert twice.challenger.seat == THIRD
    assert seats_of(twice.retired) == [SECOND]


def test_seats_of_an_earlier_release_are_read_and_what_left_then_is_kept(tmp_path):
    file = SeatsFile(tmp_path)
    file.path.parent.mkdir()
    seat = asdict(SECOND)
    left = {"seat": seat, "since": "2026-03-01T00:00:00+00:00"}
    old = {
        "champion": asdict(FIRST), "configured": "mini", "challenger": {"seat": seat},
        "retired": [left],
    }  # fmt: skip
    file.path.write_text(json.dumps(old))
    read = file.read(THIRD)
    assert (read.challenger.left, read.retired[0].served) == (None, True)


def test_who_works_on_the_challenger_keeps_others_out_but_not_who_goes_back(tmp_path):
    file = SeatsFile(tmp_path)
    with file.working():
        with pytest.raises(StoreLockedError), SeatsFile(tmp_path).working():
            pass
        with file.locked():
            file.write(trying())
