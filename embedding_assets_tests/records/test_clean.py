import unicodedata
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedding_assets.records.clean import CLEAN_SCHEMA, QUARANTINE_SCHEMA, DayRange, clean
from embedding_assets.records.source import RAW_SCHEMA
from embedding_assets_tests.records.shop import cleaned, row, write

DAYS = DayRange(date(2025, 1, 1), date(2025, 12, 31))
NO_ID = "account_id is empty"
NO_ITEM = "item_description is empty"
NO_TIME = "feature_timestamp is empty or not ISO-8601"
FUTURE = "feature_timestamp lies in the future"
BEFORE = "feature_timestamp lies before records.start_date"


@pytest.fixture
def part(tmp_path):
    """The good and the bad ones of some rows, as dictionaries."""

    def parted(*rows):
        good, bad = cleaned(write(tmp_path / "records.parquet", rows), DAYS)
        return good.to_pylist(), bad.to_pylist()

    return parted


def test_a_good_record_is_normalized_and_typed(part):
    [good], bad = part(
        row(" ada ", "Pho\tBo\r\n", "2025-03-01T23:30:00-05:00", "  ", "Thai; ,Asian")
    )
    assert bad == []
    assert good.pop("row_hash") == 2127117634380785948
    assert good == {
        "account_id": "ada",
        "item_description": "Pho Bo",
        "vendor_name": None,
        "vendor_cuisines": ["Thai", "Asian"],
        "feature_timestamp": datetime(2025, 3, 2, 4, 30, tzinfo=UTC),
        "day": date(2025, 3, 2),
    }


@pytest.mark.parametrize(
    ("dirty", "clean_text"),
    [
        ("Cafe\u0301", "Café"),
        ("a\u00a0b", "a b"),
        ("a\u2003\u3000b\u2028c", "a b c"),
        ("a\x00b\x1fc\x7fd\x85e", "a b c d e"),
        ("é\x00kept too", "é kept too"),
        ("\u00a0 a \t", "a"),
        ("🍕🧑‍🍳", "🍕🧑‍🍳"),
        ("ﬁ", "ﬁ"),
        ("'\"; DROP TABLE raw; --", "'\"; DROP TABLE raw; --"),
        ("שלום", "שלום"),
    ],
)
def test_text_is_composed_and_its_blanks_folded(part, dirty, clean_text):
    [good], _ = part(row(dirty, dirty, vendor=dirty))
    assert (good["account_id"], good["item_description"], good["vendor_name"]) == (clean_text,) * 3


@pytest.mark.parametrize(
    ("cuisines", "names"),
    [
        ("Thai", ["Thai"]),
        ("Thai, Asian , Café", ["Thai", "Asian", "Café"]),
        ("Thai;Asian", ["Thai", "Asian"]),
        (",; ,", []),
        ("", []),
        (None, []),
        ("\u00a0Thai\n,", ["Thai"]),
    ],
)
def test_cuisines_are_split_at_commas_and_semicolons(part, cuisines, names):
    [good], _ = part(row(cuisines=cuisines))
    assert good["vendor_cuisines"] == names


@pytest.mark.parametrize(
    ("changes", "reason", "kind"),
    [
        ({"account": None}, NO_ID, "permanent"),
        ({"account": " \u00a0\x00"}, NO_ID, "permanent"),
        ({"item": None}, NO_ITEM, "permanent"),
        ({"item": ""}, NO_ITEM, "permanent"),
        ({"at": None}, NO_TIME, "permanent"),
        ({"at": "yesterday"}, NO_TIME, "permanent"),
        ({"at": "2024-12-31T23:59:59Z"}, BEFORE, "permanent"),
        ({"at": "2026-01-01T00:00:00Z"}, FUTURE, "transient"),
        ({"item": "", "at": "2026-01-01"}, f"{NO_ITEM}; {FUTURE}", "permanent"),
        ({"account": "", "item": "", "at": ""}, f"{NO_ID}; {NO_ITEM}; {NO_TIME}", "permanent"),
    ],
)  # fmt: skip
def test_a_bad_record_is_kept_as_it_came_with_its_reasons(part, changes, reason, kind):
    good, [bad] = part(row(**changes))
    assert good == []
    assert sorted(bad["reason"].split("; ")) == sorted(reason.split("; "))
    assert bad == {
        **row(**changes), "source_file": "records.parquet", "source_row": 0,
        "reason": bad["reason"], "class": kind, "attempts": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2025-03-01T10:00:00Z", "2025-03-01T10:00:00"),
        ("2025-03-01T10:00:00", "2025-03-01T10:00:00"),
        ("2025-03-01 10:00", "2025-03-01T10:00:00"),
        ("2025-03-01", "2025-03-01T00:00:00"),
        ("2025-03-01T10:00:00.123456+00:00", "2025-03-01T10:00:00.123456"),
        ("2025-03-01T10:00:00.1Z", "2025-03-01T10:00:00.100000"),
        ("2025-03-01T00:30:00+05:30", "2025-02-28T19:00:00"),
        ("2025-03-01T23:30:00-0800", "2025-03-02T07:30:00"),
        (" 2025-03-01T10:00:00Z\r\n", "2025-03-01T10:00:00"),
        ("\t2025-03-01\u00a0", "2025-03-01T00:00:00"),
        ("2025-12-31T23:59:59.999999", "2025-12-31T23:59:59.999999"),
    ],
)
def test_instants_are_read_in_utc(part, text, instant):
    [good], _ = part(row(at=text))
    assert good["feature_timestamp"] == datetime.fromisoformat(f"{instant}+00:00")
    assert good["day"] == good["feature_timestamp"].date()


@pytest.mark.parametrize(
    "text",
    [
        "2025-02-29", "2025-13-01", "2025-03-01T25:00:00", "2025-03-01T10:00:61", "01/03/2025",
        "20250301T100000", "1740823200", "infinity", "-infinity", "epoch", "now", "today", "",
        "2025-03-01 (BC)", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00",
        "294247-01-01", "2025-03-01Tgarbage", "2025-03-01\x00", "🍕",
    ],
)  # fmt: skip
def test_what_is_no_instant_is_refused(part, text):
    good, [bad] = part(row(at=text))
    assert good == []
    assert "feature_timestamp" in bad["reason"]
    assert bad["feature_timestamp"] == text


def test_leap_days_exist_in_leap_years_only(tmp_path):
    leap = DayRange(date(2024, 1, 1), date(2025, 12, 31))
    path = write(tmp_path / "f.parquet", [row(at="2024-02-29"), row(at="2025-02-29")])
    good, bad = cleaned(path, leap)
    assert good["day"].to_pylist() == [date(2024, 2, 29)]
    assert bad["source_row"].to_pylist() == [1]


def test_a_text_of_a_megabyte_is_kept_whole(part):
    [good], _ = part(row(item="naïve 🍕 " * 100_000))
    assert good["item_description"] == ("naïve 🍕 " * 100_000).strip()


def test_the_row_hash_tells_every_column_apart_and_nothing_else(part):
    rows = [
        row("ab", "c"),
        row("a", "bc"),
        row(vendor="Thai", cuisines=""),
        row(vendor="", cuisines="Thai"),
        row(cuisines="Thai,Asian"),
        row(cuisines="Asian,Thai"),
        row(at="2025-03-01T10:00:01"),
    ]
    good, _ = part(*rows)
    hashes = [each["row_hash"] for each in good]
    assert len(set(hashes)) == len(rows)
    backwards, _ = part(*rows[::-1], row(" ab", "c\n", at="2025-03-01T12:00:00+02:00"))
    assert [each["row_hash"] for each in backwards] == [*hashes[::-1], hashes[0]]
    assert all(0 <= value < 2**63 for value in hashes)


def test_a_column_without_any_value_is_no_obstacle(part):
    good, bad = part(*[row(vendor=None, cuisines=None)] * 3)
    assert (len(good), bad) == (3, [])
    good, bad = part(*[row(account=None, at=None)] * 3)
    assert (good, len(bad)) == ([], 3)


def test_an_empty_batch_has_no_rows():
    [part] = clean([pa.RecordBatch.from_pylist([], RAW_SCHEMA)], DAYS)
    assert (part.good.schema, len(part.good)) == (CLEAN_SCHEMA, 0)
    assert (part.bad.schema, len(part.bad)) == (QUARANTINE_SCHEMA, 0)
    assert list(clean([], DAYS)) == []


texts = st.none() | st.sampled_from(["", " ", "\u00a0"]) | st.text(max_size=8)
instants = st.none() | st.text(max_size=8) | st.datetimes().map(str) | st.just("2025-03-01")


@settings(max_examples=30)
@given(st.lists(st.builds(row, texts, texts, instants, texts, texts), max_size=8))
def test_no_row_is_lost_and_what_is_good_is_clean(tmp_path_factory, rows):
    path = write(tmp_path_factory.mktemp("raw") / "f.parquet", rows)
    good, bad = cleaned(path, DAYS)
    assert len(good) + len(bad) == len(rows)
    assert [rows[i] for i in bad["source_row"].to_pylist()] == bad.select(list(row())).to_pylist()
    assert "" not in bad["reason"].to_pylist()
    for text in good["account_id"].to_pylist() + good["item_description"].to_pylist():
        assert text == unicodedata.normalize("NFC", text).strip() != ""
    for day in good["day"].to_pylist():
        assert day in DAYS
