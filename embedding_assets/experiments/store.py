"""The experiments themselves in the database; what happens in them is in `events`."""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Row,
    SmallInteger,
    String,
    Table,
    Text,
    select,
)
from sqlalchemy.types import Double
from structlog import get_logger

from embedding_assets.database import create_tables, hold, own_tables, reading, writing
from embedding_assets.errors import StoreDamagedError
from embedding_assets.experiments.assignment import Assigner, Slots, bounds_of, size
from embedding_assets.experiments.plan import (
    PLANS,
    SLOTS,
    Decision,
    Experiment,
    ExperimentPlan,
    UnknownExperimentError,
    is_id,
)

_log = get_logger()
TABLES = own_tables("experiments", version=1)

experiments = Table(
    "experiments",
    TABLES,
    Column("number", Integer, primary_key=True),
    Column("id", String(63), nullable=False, unique=True),
    Column("state", String(16), nullable=False, index=True),
    Column("plan", Text, nullable=False),
    Column("salt", LargeBinary(16), nullable=False),
    Column("slots", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("started", BigInteger),
    Column("ended", BigInteger),
    Column("decision", Text),
)
"""All times of these tables are microseconds since 1970, UTC."""

exposures = Table(
    "experiment_exposures",
    TABLES,
    Column("experiment", ForeignKey(experiments.c.number), primary_key=True),
    Column("unit", BigInteger, primary_key=True),
    Column("variant", SmallInteger, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index("experiment_exposures_in_order", *exposures.c["experiment", "first_at", "unit", "variant"])

outcomes = Table(
    "experiment_outcomes",
    TABLES,
    Column("experiment", ForeignKey(experiments.c.number), primary_key=True),
    Column("id", LargeBinary(16), primary_key=True),
    Column("unit", BigInteger, nullable=False),
    Column("metric", SmallInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("value", Double, nullable=False),
    sqlite_with_rowid=False,
)
# All that an analysis reads stands in the index.
Index(
    "experiment_outcomes_of_unit",
    *outcomes.c["experiment", "unit", "metric", "at", "value"],
)

covariates = Table(
    "experiment_covariates",
    TABLES,
    Column("experiment", ForeignKey(experiments.c.number), primary_key=True),
    Column("unit", BigInteger, primary_key=True),
    Column("value", Double, nullable=False),
    sqlite_with_rowid=False,
)

observations = Table(
    "experiment_observations",
    TABLES,
    Column("experiment", ForeignKey(experiments.c.number), primary_key=True),
    Column("variant", SmallInteger, primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("empty", BigInteger, nullable=False),
    Column("latency", Double, nullable=False),
    Column("latency_squares", Double, nullable=False),
    sqlite_with_rowid=False,
)


@dataclass(frozen=True)
class Stored:
    """An experiment with what is needed to assign its units.

    slots: those it holds or held in its layer; none as a draft.
    """

    number: int
    experiment: Experiment
    salt: bytes
    slots: Slots

    @property
    def plan(self) -> ExperimentPlan:
        """What the experiment is."""
        return self.experiment.plan

    def assigner(self) -> Assigner:
        """Assigns its units as they are assigned while it runs."""
        layer = self.plan.layer
        weights = [variant.weight for variant in self.plan.variants]
        key = self.salt if layer is None else layer.encode()
        return Assigner(key, self.slots, self.salt, bounds_of(weights))


class ExperimentStore:
    """The experiments in a database, and the one place where their states change."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._has_tables = False

    @property
    def engine(self) -> Engine:
        """The engine of a database that has the tables of experiments.

        They are created when first needed, so that a service starts while its database is gone.
        Raises DatabaseUnavailableError, StoreVersionError.
        """
        if not self._has_tables:
            create_tables(self._engine, TABLES)
            self._has_tables = True
        return self._engine

    def all(self) -> list[Stored]:
        """Every experiment, the newest first. Raises DatabaseUnavailableError."""
        with reading(self.engine) as connection:
            rows = connection.execute(select(experiments).order_by(experiments.c.number.desc()))
            return [_stored(row) for row in rows]

    def running(self) -> list[Stored]:
        """The experiments that run and can be read. Raises DatabaseUnavailableError."""
        query = select(experiments).where(experiments.c.state == "running")
        found = []
        with reading(self.engine) as connection:
            for row in connection.execute(query.order_by(experiments.c.number)):
                try:
                    found.append(_stored(row))
                except StoreDamagedError as error:  # the others go on
                    _log.error("experiment_unreadable", problem=error.problem)
        return found

    def find(self, id: str) -> Stored:
        """One experiment. Raises UnknownExperimentError, DatabaseUnavailableError."""
        with reading(self.engine) as connection:
            return find(connection, id)

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """A transaction in which nobody else changes any experiment's state."""
        with writing(self.engine) as connection:
            hold(connection, TABLES)
            yield connection


def running(connection: Connection) -> list[Stored]:
    """The experiments that run, the oldest first."""
    query = select(experiments).where(experiments.c.state == "running")
    return [_stored(row) for row in connection.execute(query.order_by(experiments.c.number))]


def find(connection: Connection, id: str) -> Stored:
    """One experiment. Raises UnknownExperimentError."""
    # PostgreSQL takes no text with a NUL.
    query = select(experiments).where(experiments.c.id == id)
    row = connection.execute(query).first() if is_id(id) else None
    if row is None:
        raise UnknownExperimentError(
            f"No experiment is called {id!r}.", "`embedding-assets experiment list` names them all."
        )
    return _stored(row)


def exists(connection: Connection, id: str) -> bool:
    """Whether an experiment has that id."""
    return connection.scalar(select(experiments.c.number).where(experiments.c.id == id)) is not None


def add(connection: Connection, plan: ExperimentPlan, now: datetime) -> None:
    """Keep a new draft."""
    values = {
        "id": plan.id,
        "state": "draft",
        "plan": PLANS.dump_json(plan).decode(),
        "salt": secrets.token_bytes(16),
        "slots": "[]",
        "created": micros(now),
    }
    connection.execute(experiments.insert().values(values))


def change(connection: Connection, stored: Stored) -> None:
    """Replace what is kept of an experiment; its plan, salt and creation stay as they are."""
    now = stored.experiment
    values = {
        "state": now.state,
        "slots": json.dumps(stored.slots),
        "started": now.started and micros(now.started),
        "ended": now.ended and micros(now.ended),
        "decision": now.decision and _decision_json(now.decision),
    }
    mine = experiments.c.number == stored.number
    connection.execute(experiments.update().where(mine).values(values))


def micros(at: datetime) -> int:
    """Microseconds since 1970; a time without zone is UTC."""
    moment = at if at.tzinfo else at.replace(tzinfo=UTC)
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def moment(at: int) -> datetime:
    """The time of so many microseconds since 1970."""
    seconds, rest = divmod(at, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def _stored(row: Row[Any]) -> Stored:
    try:
        plan = PLANS.validate_json(row.plan)
        slots = tuple((first, behind) for first, behind in json.loads(row.slots))
    except (ValueError, TypeError) as error:
        raise StoreDamagedError(
            f"The experiment {row.id!r} cannot be read: {str(error).splitlines()[0]}.",
            "Restore the database from a backup, or delete this experiment from it.",
        ) from error
    experiment = Experiment(
        plan=plan,
        state=row.state,
        share=size(slots) / SLOTS if slots else plan.share,
        created=moment(row.created),
        started=None if row.started is None else moment(row.started),
        ended=None if row.ended is None else moment(row.ended),
        decision=None if row.decision is None else _decision(json.loads(row.decision)),
    )
    return Stored(row.number, experiment, row.salt, slots)


def _decision_json(decision: Decision) -> str:
    return json.dumps({**asdict(decision), "at": micros(decision.at)})


def _decision(fields: Mapping[str, Any]) -> Decision:
    decision = Decision(**fields)
    return replace(decision, reasons=tuple(fields["reasons"]), at=moment(fields["at"]))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
