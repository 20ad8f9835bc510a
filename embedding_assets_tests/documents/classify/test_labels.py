import numpy as np
import pytest

from embedding_assets.documents.classify.labels import Category, LabelledRow, LabelledTexts
from embedding_assets.errors import EmptyInputError, InputError


def rows(*pairs):
    return [LabelledRow(text, label) for text, label in pairs]


def test_texts_are_numbered_by_their_category():
    found = LabelledTexts.from_rows(rows(("soup", "Food"), ("brief", "Law"), ("cake", "Food")))
    assert [each.name for each in found.categories] == ["Food", "Law"]
    assert found.texts == ("cake", "soup", "brief")
    assert found.labels.tolist() == [0, 0, 1]


def test_labels_in_other_spelling_and_case_are_one_and_it_is_told():
    late = [("a", "Late fee"), ("b", "late_fee"), ("c", "LATE-FEE "), ("d", "Late fee")]
    found = LabelledTexts.from_rows(rows(*late, ("e", "x")))
    assert [each.name for each in found.categories] == ["Late fee", "x"]
    assert found.notes.merged == {"Late fee": ("LATE-FEE", "late_fee")}


def test_a_sign_before_or_behind_a_label_is_no_other_spelling():
    labels = ["-1", "1", "A-", "A", "C--", "C", "a_b", "A-b"]
    found = LabelledTexts.from_rows(rows(*((f"text {each}", each) for each in labels)))
    assert [each.name for each in found.categories] == ["-1", "1", "A", "A-b", "A-", "C", "C--"]
    assert found.notes.merged == {"A-b": ("a_b",)}
    assert [Category(each).text for each in ("-1", "late_fee", "A-")] == ["-1", "late fee", "A-"]


def test_a_described_category_gives_the_spelling_and_may_have_no_text():
    described = [Category("Law", "contracts and courts"), Category("Tax")]
    found = LabelledTexts.from_rows(rows(("a", "law"), ("b", "Food")), described)
    assert [each.name for each in found.categories] == ["Food", "Law", "Tax"]
    assert found.categories[1].text == "Law: contracts and courts"
    assert found.labels.tolist() == [0, 1]


def test_rows_without_text_or_label_and_repeated_ones_are_left_out_and_counted():
    found = LabelledTexts.from_rows(
        rows(("a", "x"), ("", "x"), ("  \n", "y"), (None, "y"), ("b", None), ("b", " "), ("c", "y"),
             ("a", "x"))
    )  # fmt: skip
    assert found.texts == ("a", "c")
    assert (found.notes.without_text, found.notes.without_label, found.notes.repeated) == (3, 2, 1)


def test_too_many_texts_leave_the_rare_categories_whole():
    many = [LabelledRow(f"text {n}", "often") for n in range(1_000)]
    few = [LabelledRow(f"rare {n}", "rare") for n in range(20)]
    found = LabelledTexts.from_rows([*many, *few], most=100)
    counts = np.bincount(found.labels)
    assert counts[1] == 20
    assert 30 <= counts[0] <= 80
    assert found.notes.left_out == 1_020 - counts.sum()
    assert LabelledTexts.from_rows([*many, *few], most=100).texts == found.texts


def test_a_kept_text_stands_for_as_many_as_were_seen():
    many = [LabelledRow(f"text {n}", "often") for n in range(20_000)]
    few = [LabelledRow(f"rare {n}", "rare") for n in range(200)]
    found = LabelledTexts.from_rows([*many, *few, *many, *few], most=1_000)
    kept = np.bincount(found.labels)
    assert kept[1] == 200
    assert found.weights[1] == 1
    assert kept[0] * found.weights[0] == pytest.approx(20_000, rel=0.1)


def test_a_label_whose_only_text_is_given_up_is_learnt_from_its_name():
    found = LabelledTexts.from_rows(rows(*((f"text {n}", f"name {n}") for n in range(9))), most=4)
    assert len(found.categories) == 9
    assert len(found.texts) == 4
    assert found.weights.tolist() == [1] * 9


@pytest.mark.parametrize("read", [LabelledTexts.from_rows, LabelledTexts.whole])
def test_a_column_of_ids_or_of_texts_is_no_column_of_labels(read):
    drawn = []

    def ids():
        for number in range(100_000):
            drawn.append(number)
            yield LabelledRow(f"text {number}", f"id {number}")

    with pytest.raises(
        InputError, match=r"more than 1,000 different values, such as 'id 1000'.*column"
    ):
        read(ids())
    assert len(drawn) == 1_001, "no more is read"
    with pytest.raises(InputError, match="Labels have more than 1,000 letters, such as"):
        read(rows(("a", "b" * 5_000)))


def test_described_categories_are_bounded_too():
    with pytest.raises(InputError, match="more than 1,000"):
        LabelledTexts.from_rows([], [Category(f"name {n}") for n in range(1_001)])
    assert len(Category("a", "word " * 10_000).text) == 8_000


def test_of_a_long_text_the_beginning_is_kept():
    found = LabelledTexts.from_rows(rows(("a " * 100_000, "x"), ("b", "y")))
    assert len(found.texts[0]) == 8_000


def test_one_category_only_is_named():
    with pytest.raises(InputError, match="only one category, 'LAW'.*Label texts of another"):
        LabelledTexts.from_rows(rows(("a", "Law"), ("b", "LAW")))


@pytest.mark.parametrize("nothing", [[], rows(("", "x"), ("a", ""))])
def test_nothing_to_learn_from_is_named(nothing):
    with pytest.raises(EmptyInputError, match="no labelled text and no category"):
        LabelledTexts.from_rows(nothing)


def test_what_is_judged_by_keeps_repeated_rows():
    found = LabelledTexts.whole(
        rows(("a", "x"), ("a", "X"), ("", "x"), ("b", "new")), [Category("x")]
    )
    assert found.texts == ("a", "a", "b")
    assert [each.name for each in found.categories] == ["x", "new"]
    assert found.labels.tolist() == [0, 0, 1]
