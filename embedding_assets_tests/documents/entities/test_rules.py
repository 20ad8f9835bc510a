import re
import time

import pytest

from embedding_assets.documents.entities.identifiers import is_iban, is_isin
from embedding_assets.documents.entities.patterns import PATTERNS, own_pattern
from embedding_assets.documents.entities.rules import MODEL, Entity, Rules, merge
from embedding_assets.errors import SettingsError


def found(name, text):
    return [text[start:end] for start, end in PATTERNS[name].matches(text)]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("money", "Pay $1,000.50 or EUR 20 or 3.5 million euros.",
         ["$1,000.50", "EUR 20", "3.5 million euros"]),
        ("money", "€ 12.50, 7 €, US$5 million, version 5.0", ["€ 12.50", "7 €", "US$5 million"]),
        ("date", "On 2026-11-30, 3 May 2024, March 1st, 2020 and 31.12.1999; in June 2021",
         ["2026-11-30", "3 May 2024", "March 1st, 2020", "31.12.1999", "June 2021"]),
        ("date", "2026-13-01 1.2.3 99/99/2020 may", []),
        ("percent", "7.5 % or 12% or 3 per cent, 5 percentage points",
         ["7.5 %", "12%", "3 per cent", "5 percentage points"]),
        ("email", "Ask anna.b+x@mail.example.org, not @home or a@b",
         ["anna.b+x@mail.example.org"]),
        ("isin", "US0378331005 and US0378331006, DE000BAY0017", ["US0378331005", "DE000BAY0017"]),
        ("iban", "DE89 3704 0044 0532 0130 00 or DE88 3704 0044 0532 0130 00",
         ["DE89 3704 0044 0532 0130 00"]),
        ("iban", "IBAN AT611904300234573201 BIC BKAUATWW", ["AT611904300234573201"]),
        ("iban", "ES91 2100 0418 4502 0005 1332 EUR 500", ["ES91 2100 0418 4502 0005 1332"]),
        ("iban", "BE68 5390 0754 7034 PAID IN FULL", ["BE68 5390 0754 7034"]),
        ("iban", "PO12 BOX1 BE68 5390 0754 7034 GB82 WEST 1234 5698 7654 32",
         ["BE68 5390 0754 7034", "GB82 WEST 1234 5698 7654 32"]),
        ("money", "$5m, $1.5bn, 2k EUR, $3M, €4B or $5km; 10m long",
         ["$5m", "$1.5bn", "2k EUR", "$3M", "€4B", "$5"]),
        ("url", "See https://example.org/a?b=1, or www.example.com.",
         ["https://example.org/a?b=1", "www.example.com"]),
    ],
)  # fmt: skip
def test_built_in_patterns(name, text, expected):
    assert found(name, text) == expected


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize(
    "piece", ["1", "1,", "a.", "a@", "A1", "$1 ", "May 1", "DE11", "www.", "12 000 "]
)
def test_the_time_of_a_pattern_grows_with_the_text_alone(name, piece):
    def seconds(length):
        text = (piece * length)[:length]
        started = time.process_time()
        list(PATTERNS[name].matches(text))
        return time.process_time() - started

    # Ten times the text: ten times as long, not a hundred.
    assert seconds(20_000) < 40 * max(seconds(2_000), 2e-3)


def test_check_digits():
    assert is_isin("US0378331005") and not is_isin("US0378331050") and not is_isin("0378331005")
    assert is_iban("GB82WEST12345698765432") and not is_iban("GB82WEST12345698765433")


def test_own_expressions_find_every_match_with_letters_counted():
    pattern = own_pattern("INVOICE", r"\bINV-\d+")
    text = "é INV-1 xINV-2 INV-34"
    assert [text[start:end] for start, end in pattern.matches(text)] == ["INV-1", "INV-34"]


def test_letters_of_several_bytes_are_letters_to_own_expressions():
    text = "é€😀ab A12 éé b"
    for expression in ("..", ".b", "é+", "[^a]b", "€|😀."):
        wanted = [match.span() for match in re.finditer(expression, text)]
        assert list(own_pattern("X", expression).matches(text)) == wanted, expression


def test_matches_are_counted_in_letters_however_many_there_are():
    text = "é1 a22 €333 " * 100
    found = list(own_pattern("NUMBER", r"[0-9]+").matches(text))
    assert found == [match.span() for match in re.finditer(r"\d+", text)]


def test_of_a_text_with_many_matches_nothing_is_copied(monkeypatch):
    import pyarrow.compute as pc

    told = []
    spans = pc.extract_regex_span

    def noted(array, expression):
        content = array.buffers()[2]
        told.append((content.address, content.size))
        return spans(array, expression)

    pattern = own_pattern("X", "[0-9]")
    monkeypatch.setattr(pc, "extract_regex_span", noted)
    assert len(list(pattern.matches("a1 " * 20))) == 20
    assert len({*told}) == 1


def test_groups_brackets_and_escapes_in_own_expressions():
    text = "a(1) [(] ab abab \\"
    for expression, expected in (
        (r"(ab)+", ["ab", "abab"]),
        (r"a\(\d\)", ["a(1)"]),
        (r"[(\[]{2}", ["[("]),
        (r"[])]", [")", "]"]),
        (r"(?P<which>a|b)(ab|\()", ["a(", "bab"]),
    ):
        matches = own_pattern("X", expression).matches(text)
        assert [text[start:end] for start, end in matches] == expected, expression


def test_an_own_expression_cannot_run_away():
    pattern = own_pattern("A", r"(a+)+b")
    assert list(pattern.matches("a" * 5_000)) == []


@pytest.mark.parametrize(
    ("expression", "why"),
    [("(", "cannot be read"), (r"(?=a)", "cannot be read"), ("a*", "matches an empty")],
)
def test_an_expression_that_cannot_be_used_is_named(expression, why):
    with pytest.raises(SettingsError, match=f"of 'X' in entities.expressions {why}"):
        Rules(expressions=[("X", expression)]).require_usable()


def test_an_unknown_pattern_is_named():
    with pytest.raises(SettingsError, match="'monney', which is no built-in pattern"):
        Rules(patterns=("monney",)).require_usable()


def test_the_longest_stays_and_of_those_as_long_the_first():
    model = Entity(0, 9, "ORG", 0.9, MODEL)
    rule = Entity(0, 9, "BANK", 1.0, "rule:gazetteer")
    inside = Entity(5, 9, "LOC", 1.0, "rule:gazetteer")
    after = Entity(9, 12, "LOC", 0.5, MODEL)
    assert merge([rule, inside, model, after]) == [rule, after]


def test_the_digest_follows_what_is_looked_for(tmp_path):
    names = tmp_path / "names.csv"
    names.write_text("name,label\nOslo,CITY\n")
    digests = [Rules().digest, Rules(("money",)).digest, Rules(gazetteer=names).digest]
    names.write_text("name,label\nBergen,CITY\n")
    digests += [Rules(gazetteer=names).digest, Rules(expressions=[("A", "b")]).digest]
    assert len({*digests}) == 5


def test_expressions_of_one_label_are_all_looked_for_in_their_order():
    pairs = [("ID", "A[0-9]+"), ("ID", "B[0-9]+"), ("NAME", "A[0-9]")]
    assert [each.label for each in Rules(expressions=pairs).find("B1 A2")] == ["ID", "ID", "NAME"]
    assert Rules(expressions=pairs).digest != Rules(expressions=pairs[::-1]).digest
    assert Rules(("isin", "iban")).digest != Rules(("iban", "isin")).digest
