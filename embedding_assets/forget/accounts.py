"""An account's way out: of the neighbours and the latest embeddings, the days, the caches."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from embedding_assets.errors import InputError, NotFoundError
from embedding_assets.forget.days import DaysWithout
from embedding_assets.forget.receipt import MLFLOW_STEP, Receipt, Step, keep_receipt
from embedding_assets.forget.staged import forgetting, sweep_staged
from embedding_assets.forget.tables import TablesWithout
from embedding_assets.forget.used import texts_in_use
from embedding_assets.forget.vectors import DoomedVectors
from embedding_assets.records.clean import folded
from embedding_assets.records.forgotten import Accounts, account_key, forgotten_ids
from embedding_assets.records.source import list_record_files, raw_records_sql, readable
from embedding_assets.storage.duck import query_engine

if TYPE_CHECKING:
    from embedding_assets.workspace import Workspace

_DAYS = {
    "embeddings": "account_embeddings",
    "texts": "account_texts",
    "cleaned": "cleaned_records",
    "raw": "raw_records",
}
_OTHER_MODEL = "rows removed, of another model"


def forget_account(workspace: "Workspace", account_id: str) -> Receipt:
    """Remove an account for good: no run brings it back from now on, even if this is interrupted;
    the same call again finishes.

    Record files stay; the account's rows in them are left out, however its id is written there
    (compared as clean records have it). Vectors of texts that something else has too stay.
    Afterwards every asset that was fresh is fresh, and there is nothing to embed. No model is
    needed.

    Raises NotFoundError for an id that was never seen, StoreLockedError when a writer does not
    finish in time, OutputError and StoreError subclasses.
    """
    key = account_key(account_id)
    tombstones = workspace.accounts.tombstones
    is_new = key not in tombstones.ids()
    if key is None or (is_new and not _is_known(workspace, frozenset({key}), key)):
        raise NotFoundError(
            f"No account {account_id!r} is known, in {workspace.data_dir} or in the record files.",
            "Check the id; blanks around it do not matter.",
        )
    tombstones.add([key])
    listed = Step("tombstones", "listed: no run brings it back", int(is_new))
    with forgetting(workspace):
        steps = (listed, *_steps(workspace, key), MLFLOW_STEP, Step("source", "left as it is", 0))
        receipt = Receipt("account", account_id, datetime.now(UTC), steps)
        keep_receipt(receipt, workspace.data_dir)
    return receipt


def _steps(workspace: "Workspace", key: str) -> Iterator[Step]:
    """Remove all forgotten accounts: a killed forgetting may have left some of another one."""
    days, tables = _of_model(workspace)
    others = [_of_model(each) for each in workspace.others]
    unfinished = workspace.data_dir / "forgotten" / "unfinished" / f"{key}.json"
    vectors = DoomedVectors(workspace.data_dir / "vectors", unfinished)
    found = [(days, tables), *others]
    vectors.add([text for pair in found for each in pair for text in each.texts()])
    for their_days, their_tables in others:
        for name, rows in their_tables.rewrite_of_model():
            yield Step(name, _OTHER_MODEL, rows)
        yield Step("account_embeddings", _OTHER_MODEL, their_days.rewrite_embeddings())
    for name, rows in tables.rewrite():
        yield Step(name, "rows removed", rows)
    for name, rows in days.rewrite().items():
        yield Step(_DAYS[name], "rows removed", rows)
    timeout = workspace.settings.storage.lock_timeout_seconds
    removed = vectors.remove(texts_in_use(workspace), timeout)
    yield Step("vectors", "computed vectors removed", removed)
    workspace.tables.compact()
    sweep_staged(workspace)
    workspace.publish()
    yield Step("warehouse", "published anew", 1)


def _of_model(workspace: "Workspace") -> tuple[DaysWithout, TablesWithout]:
    accounts = workspace.accounts
    days = DaysWithout(accounts.days, accounts.tables, accounts.days.forgotten())
    return days, TablesWithout(workspace, days)


def _is_known(workspace: "Workspace", account: Accounts, key: str) -> bool:
    days = DaysWithout(workspace.accounts.days, workspace.accounts.tables, account)
    tables = TablesWithout(workspace, days)
    if any(days.held.values()) or tables.texts_of_accounts():
        return True
    quarantined = workspace.table_rows("quarantined_records")["account_id"]
    return bool(len(forgotten_ids(quarantined, account))) or _is_in_source(workspace, key)


def _is_in_source(workspace: "Workspace", key: str) -> bool:
    """Whether a record file that can be read has a row of the account."""
    try:
        files = list_record_files(workspace.accounts.days.source)
    except InputError:
        return False
    with query_engine(workspace.accounts.days.query_memory_mb) as connection:
        for file in files:
            try:
                rows = raw_records_sql(file.path)
                query = f"SELECT 1 FROM ({rows}) WHERE sha256({folded('account_id')}) = ? LIMIT 1"
                with readable(file.path):
                    found = connection.execute(query, [key]).fetchall()
            except InputError:
                continue
            if found:
                return True
    return False
