from datetime import UTC, datetime, timedelta, timezone

import pytest

from embedding_assets.errors import InputError
from embedding_assets.search.filters import (
    NO_FILTERS,
    FilterError,
    Filters,
    SearchError,
    Span,
    parse_filters,
)


def day(number, *time):
    return datetime(2026, 1, number, *time, tzinfo=UTC)


END = (23, 59, 59, 999_999)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], Filters()),
        (["document=a/b.pdf"], Filters(documents=("a/b.pdf",))),
        (["document=a", "document=*.pdf"], Filters(documents=("a", "*.pdf"))),
        (["title=The *"], Filters(titles=("The *",))),
        (["format=pdf", "category=law"], Filters(formats=("pdf",), categories=("law",))),
        ([" Entity = Acme = Co "], Filters(entities=("Acme = Co",))),
        (["entity=a>=b"], Filters(entities=("a>=b",))),
        (["category='; DROP TABLE x --"], Filters(categories=("'; DROP TABLE x --",))),
        (["page=3"], Filters(pages=(Span(3, 3),))),
        (["page=3..5", "page=9"], Filters(pages=(Span(3, 5), Span(9, 9)))),
        (["page=3.."], Filters(pages=(Span(3, None),))),
        (["page=..5"], Filters(pages=(Span(None, 5),))),
        (["page>=3", "page<=5"], Filters(pages=(Span(3, 5),))),
        (["page>=3", "page>=5"], Filters(pages=(Span(5, None),))),
        (["page=1..4", "page=8", "page>=3"], Filters(pages=(Span(3, 4), Span(8, 8)))),
        (["date=2026-01-02"], Filters(dates=(Span(day(2), day(2, *END)),))),
        (["date=2026-01-02..2026-01-03"], Filters(dates=(Span(day(2), day(3, *END)),))),
        (["date>=2026-01-02"], Filters(dates=(Span(day(2), None),))),
        (["date<=2026-01-02"], Filters(dates=(Span(None, day(2, *END)),))),
        (["date>=2026-01-02T12:00"], Filters(dates=(Span(day(2, 12), None),))),
        (["date<=2026-01-02T12:00+02:00"], Filters(dates=(Span(None, day(2, 10)),))),
    ],
)
def test_conditions_are_read(conditions, expected):
    assert parse_filters(conditions) == expected


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("author=Ann", "unknown field 'author'.*document, title, format, category, entity"),
        ("Ann", "no '='"),
        ("", "no '='"),
        ("=Ann", "unknown field ''"),
        ("category= ", "no value"),
        ("category>=law", "no order"),
        ("page=iv", "'iv' is no page number"),
        ("page=-1", "no page number"),
        ("page=..", "no bound"),
        ("page=1...3", "no page number"),
        ("page=9999999999", "no page number"),
        ("date=yesterday", "cannot be read"),
        ("date=2026-02-30", "cannot be read"),
        ("date=0001-01-01T00:00+14:00", "cannot be read"),
        ("date=9999-12-31T23:00-10:00", "cannot be read"),
        ("title=" + "x" * 5_000, "5000 characters"),
    ],
)
def test_what_cannot_be_read_is_a_named_error(condition, message):
    with pytest.raises(FilterError, match=message):
        parse_filters([condition])
    assert issubclass(FilterError, SearchError) and issubclass(SearchError, InputError)


def test_no_conditions_are_false_and_any_are_true():
    assert not NO_FILTERS
    assert Filters(pages=(Span(1, 1),))


def test_a_moment_in_another_zone_is_the_same_moment():
    span = parse_filters(["date>=2026-01-02T12:00+02:00"]).dates[0]
    assert span.first == datetime(2026, 1, 2, 12, tzinfo=timezone(timedelta(hours=2)))
