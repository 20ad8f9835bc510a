from collections import Counter

import dagster as dg
import pyarrow as pa
import pytest

from embedding_assets.definitions import defs
from embedding_assets.defs.policy import record_asset
from embedding_assets.defs.retries import RETRIED, retried, wait_seconds
from embedding_assets.errors import InputError, StoreLockedError
from embedding_assets.storage.slices import Slice
from embedding_assets_tests.defs.test_automation import orders, range_request
from embedding_assets_tests.integration.workplace import write_records

LOCKED = StoreLockedError("The store was not released.", "Wait for it.")
WRONG = InputError("The file is no table.", "Mend it.")


@pytest.fixture(autouse=True)
def no_wait(monkeypatch, no_environment):
    monkeypatch.setenv("EMBEDDING_ASSETS_AUTOMATION__RETRY_SECONDS", "0")
    monkeypatch.setenv("EMBEDDING_ASSETS_AUTOMATION__RETRIES", "2")


class Failing:
    """Raises its errors one after the other, then gives what was asked for."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.tries = 0

    def __call__(self):
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        return pa.table({"a": [1]})


def run_of(*assets, resources=None):
    with dg.instance_for_test() as instance:
        return dg.materialize(
            assets, instance=instance, raise_on_error=False, resources=resources or {}
        )


def returning(work):
    @dg.asset
    @retried
    def made() -> None:
        work()

    return made


def yielding(work):
    @dg.multi_asset(outs={"made": dg.AssetOut()})
    @retried
    def making():
        work()
        yield dg.Output(None, "made")

    return making


def ended(result):
    events = Counter(event.event_type_value for event in result.all_events)
    return result.success, events["STEP_RESTARTED"]


@pytest.mark.parametrize("kind", [returning, yielding])
def test_what_may_pass_is_tried_again(kind):
    work = Failing(LOCKED, LOCKED)
    assert ended(run_of(kind(work))) == (True, 2)
    assert work.tries == 3


@pytest.mark.parametrize("kind", [returning, yielding])
def test_what_does_not_pass_ends_with_its_own_error_after_the_last_try(kind):
    work = Failing(*[LOCKED] * 9)
    result = run_of(kind(work))
    assert ended(result) == (False, 2)
    [failed] = [event for event in result.all_events if event.is_step_failure]
    assert "StoreLockedError" in str(failed.step_failure_data.error)
    assert work.tries == 3


@pytest.mark.parametrize("kind", [returning, yielding])
@pytest.mark.parametrize("error", [WRONG, ValueError("a bug"), dg.Failure("no")])
def test_what_somebody_has_to_mend_is_not_tried_again(kind, error):
    work = Failing(error)
    result = run_of(kind(work))
    assert ended(result) == (False, 0)
    assert work.tries == 1


def test_the_slices_that_an_io_manager_computes_are_tried_again(inside):
    work = Failing(LOCKED)
    result = run_of(slices_asset(work), resources=defs.resources)
    assert ended(result) == (True, 1)
    assert inside.table("made").num_rows == 1


def test_a_slice_that_is_wrong_is_computed_once(inside):
    work = Failing(WRONG)
    assert ended(run_of(slices_asset(work), resources=defs.resources)) == (False, 0)
    assert work.tries == 1


def slices_asset(work):
    schema = pa.schema([("a", pa.int64())])

    @record_asset(schema, "parquet")
    def made() -> Slice:
        return Slice(None, "1", schema, lambda: work().to_batches())

    return made


def test_days_that_were_finished_before_the_failure_are_not_made_again(
    inside, instance, monkeypatch
):
    """On the real graph: the third day of `cleaned_records` fails once."""
    from datetime import date

    from embedding_assets.storage.parquet import ParquetTable

    write_records(inside.source / "a.parquet", orders(3, 4, 5))
    written, errors = [], [LOCKED]
    replace = ParquetTable.replace

    def failing(table, part, **options):
        if table.name == "cleaned_records":
            written.append(part.key)
            if part.key == "2026-03-05" and errors:
                raise errors.pop()
        return replace(table, part, **options)

    monkeypatch.setattr(ParquetTable, "replace", failing)
    request = range_request(date(2026, 3, 3), date(2026, 3, 5))
    job = defs.resolve_job_def("records")
    result = job.execute_in_process(instance=instance, tags=request.tags, run_config={})
    assert ended(result) == (True, 1)
    assert written == ["2026-03-03", "2026-03-04", "2026-03-05", "2026-03-05"]
    assert inside.table("account_embeddings").num_rows == 3


def test_outside_of_a_run_the_error_is_raised_as_it_is():
    with pytest.raises(StoreLockedError):
        retried(Failing(LOCKED))()


def test_each_wait_is_twice_as_long_up_to_ten_minutes_and_by_chance_shorter():
    for attempt, longest in enumerate([10, 20, 40, 80, 160, 320, 600, 600]):
        waits = [wait_seconds(attempt, 10) for _ in range(50)]
        assert longest / 2 <= min(waits) < max(waits) <= longest


def test_every_asset_passes_the_retries():
    """A new asset has them by `policy`, or by `@retried` below its decorator."""
    without = {
        each.key.to_user_string()
        for each in defs.resolve_asset_graph().asset_nodes
        if each.assets_def.is_executable
        and not hasattr(each.assets_def.op.compute_fn.decorated_fn, RETRIED)
    }
    assert without == set()
