import pytest

from embedding_assets.quality.pairs import Pairs
from embedding_assets.training.texts import passage_pairs, training_texts
from embedding_assets_tests.training.words import pairs, passages

ACCOUNTS = Pairs.of(pairs(60))


def test_a_passage_belongs_to_its_headings_and_its_halves_to_each_other():
    path, text = passages(1)[0]
    assert [*passage_pairs([(path, text)])] == [
        ("Kitchen > pho", text),
        (
            "pho number 0 needs beef of the market. Cut it.",
            "Then boil the pho for 5 minutes. Serve it with beef.",
        ),
    ]
    assert [*passage_pairs([((), "Short."), (("Kitchen",), " ")])] == []


def test_passages_are_read_whole_as_they_are_embedded_and_accounts_by_halves():
    made = training_texts(passages(30), ACCOUNTS, most=100)
    learnt = {text for pair in made.pairs for text in pair}
    embedded = {f"{' > '.join(path)}\n{text}" for path, text in passages(30) if text in learnt}
    assert {*made.whole} - embedded == learnt & {*ACCOUNTS.queries, *ACCOUNTS.answers}
    assert embedded < {*made.whole}


def test_a_tenth_is_held_out_and_never_trained_on():
    made = training_texts(passages(400), ACCOUNTS, most=1_000)
    held = made.held_out
    assert 20 < len(held["documents"]) < 60
    assert 1 <= len(held["accounts"]) < 20
    learnt = {text for pair in made.pairs for text in pair}
    for each in held.values():
        assert not learnt & {*each.queries, *each.answers}
    assert len(made.pairs) == 2 * (400 - len(held["documents"])) + 60 - len(held["accounts"])


def test_the_order_in_which_texts_come_changes_nothing():
    some = [*passages(50), (("Another",), passages(1)[0][1])]
    assert training_texts(some, ACCOUNTS, 10) == training_texts(some[::-1], ACCOUNTS, 10)


def test_a_new_document_changes_few_of_the_pairs():
    before = set(training_texts(passages(300), ACCOUNTS, 40).pairs)
    after = set(training_texts(passages(303), ACCOUNTS, 40).pairs)
    assert len(after - before) <= 6


@pytest.mark.parametrize("most", [1, 7])
def test_no_more_is_taken_than_can_be_read(most):
    made = training_texts(passages(60), ACCOUNTS, most)
    assert len(made.pairs) == 3 * most
