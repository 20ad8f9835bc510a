"""What a search may return: conditions in words, and as a mask over the rows of an index."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from embedding_assets.errors import InputError

Bound = TypeVar("Bound", int, datetime)

FIELDS = ("document", "title", "format", "category", "entity", "page", "date")
_TEXTS = {
    "document": "documents",
    "title": "titles",
    "format": "formats",
    "category": "categories",
    "entity": "entities",
}
_LONGEST = 4_096
_OPERATORS = (">=", "<=", "=")
_EXAMPLES = "Write for example document=reports/*.pdf, page=3..5 or date>=2026-01-01."


class SearchError(InputError):
    """A search cannot be done as it was asked for."""


class FilterError(SearchError):
    """A filter names an unknown field or a value that the field cannot have."""


@dataclass(frozen=True)
class Span(Generic[Bound]):
    """Everything from `first` to `last`, both included; None is open."""

    first: Bound | None = None
    last: Bound | None = None

    def within(self, other: "Span[Bound]") -> "Span[Bound]":
        """What lies in both."""
        firsts = [bound for bound in (self.first, other.first) if bound is not None]
        lasts = [bound for bound in (self.last, other.last) if bound is not None]
        return Span(max(firsts, default=None), min(lasts, default=None))


@dataclass(frozen=True)
class Filters:
    """Conditions that a passage must meet: for each field that has values, one of them.

    documents: ids, or patterns of `*` and `?` over the whole path.
    titles: patterns over the whole title. formats, categories: whole values.
    entities: whole texts, `label:text`, or `label:*` for any of a label.
    Letter case plays no part, but for a document's id.
    pages: a passage that stands on several pages needs one in a span.
    dates: when the document was last modified; moments carry a time zone.
    """

    documents: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    pages: tuple[Span[int], ...] = ()
    dates: tuple[Span[datetime], ...] = ()

    def __bool__(self) -> bool:
        return self != NO_FILTERS


NO_FILTERS = Filters()


@dataclass
class _Spans(Generic[Bound]):
    """The spans of one field while its conditions are read: any of `any_of`, within `limits`."""

    any_of: list[Span[Bound]] = field(default_factory=list)
    limits: Span[Bound] = field(default_factory=Span)

    def add(self, operator: str, value: Span[Bound]) -> None:
        if operator == "=":
            self.any_of.append(value)
        elif operator == ">=":
            self.limits = self.limits.within(Span(value.first, None))
        else:
            self.limits = self.limits.within(Span(None, value.last))

    def closed(self) -> tuple[Span[Bound], ...]:
        if not self.any_of:
            return () if self.limits == Span() else (self.limits,)
        return tuple(span.within(self.limits) for span in self.any_of)


def parse_filters(conditions: Iterable[str]) -> Filters:
    """The filters in `field=value` form: `category=law`, `page=3..5`, `date>=2026-01-01`.

    Different fields must all hold; of a repeated field's values one must, while `>=` and `<=`
    narrow them. A date is a whole day (UTC) or a moment in ISO 8601.
    Raises FilterError.
    """
    texts: dict[str, list[str]] = {}
    pages: _Spans[int] = _Spans()
    dates: _Spans[datetime] = _Spans()
    for condition in conditions:
        name, operator, value = _split(condition)
        if name == "page":
            pages.add(operator, _span(condition, value, _page))
        elif name == "date":
            dates.add(operator, _span(condition, value, _day))
        elif operator == "=":
            texts.setdefault(_TEXTS[name], []).append(value)
        else:
            raise FilterError(f"'{condition}': {name} has no order.", f"Write {name}=VALUE.")
    named = {name: tuple(values) for name, values in texts.items()}
    return Filters(**named, pages=pages.closed(), dates=dates.closed())


def _split(condition: str) -> tuple[str, str, str]:
    """Field, operator and value, cut at the first operator."""
    found = [(at, op) for op in _OPERATORS if (at := condition.find(op)) >= 0]
    if not found:
        raise FilterError(f"The filter '{condition}' has no '='.", _EXAMPLES)
    at, operator = min(found, key=lambda each: (each[0], -len(each[1])))
    name, value = condition[:at].strip().lower(), condition[at + len(operator) :].strip()
    if name not in FIELDS:
        raise FilterError(
            f"The filter '{condition}' names the unknown field '{name}'.",
            f"The fields are {', '.join(FIELDS)}.",
        )
    if not value:
        raise FilterError(f"The filter '{condition}' has no value.", _EXAMPLES)
    if len(value) > _LONGEST:
        raise FilterError(
            f"The filter '{name}' has a value of {len(value)} characters.",
            f"Values have at most {_LONGEST}.",
        )
    return name, operator, value


def _span(condition: str, value: str, read: Callable[[str], Span[Bound]]) -> Span[Bound]:
    """A single value, or `first..last` with either side left open."""
    first, dots, last = (part.strip() for part in value.partition(".."))
    try:
        if not dots:
            return read(first)
        if not first and not last:
            raise ValueError("it has no bound")
        return Span(read(first).first if first else None, read(last).last if last else None)
    except (ValueError, OverflowError) as error:
        raise FilterError(f"The filter '{condition}' cannot be read: {error}.", _EXAMPLES) from None


def _page(text: str) -> Span[int]:
    if not text.isdecimal() or len(text) > 9:
        raise ValueError(f"'{text}' is no page number")
    return Span(int(text), int(text))


def _day(text: str) -> Span[datetime]:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        return Span(moment.astimezone(UTC), moment.astimezone(UTC))
    moment = moment.replace(tzinfo=UTC)
    if len(text) > len("2026-01-01"):
        return Span(moment, moment)
    return Span(moment, moment + timedelta(days=1) - timedelta(microseconds=1))
