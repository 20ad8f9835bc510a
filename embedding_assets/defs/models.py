"""Models that are tried beside the one that serves: staged, judged, promoted."""

from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from embedding_assets.defs.pictures import markdown_table
from embedding_assets.defs.policy import columns
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.defs.retries import retried
from embedding_assets.release.gate_table import GATES, GATES_SCHEMA, Judgement
from embedding_assets.release.promote import judged, promote
from embedding_assets.release.stage import stage, take_seat
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice


class Tried(dg.Config):
    """Which model is tried."""

    model: str | None = Field(
        None,
        description="Name, folder, archive, or models:/NAME/VERSION of the registry; empty: the "
        "one that is staged already, which is brought up to date.",
    )
    precision: str = Field("auto", description="auto, float32 or bfloat16.")
    experiment: str | None = Field(
        None, description="An experiment on live traffic whose decision is a gate."
    )


@dg.asset(group_name="models", kinds={"parquet", "mlflow"})
@retried
def challenger(
    context: dg.AssetExecutionContext, config: Tried, workspace: WorkspaceResource
) -> dg.MaterializeResult[None]:
    """Another model's vectors and indexes, complete beside those that serve: documents, accounts,
    items and apps, the cheapest part first. What it has is not computed again."""
    opened = workspace.open()
    tried = take_seat(opened, config.model, config.precision, config.experiment)
    staged = stage(
        opened,
        tried,
        {"dagster_run_id": context.run.run_id},
        lambda what: context.log.info(str(what)),
    )
    price = [(each.part, each.texts, each.tokens, round(each.seconds, 1)) for each in staged.price]
    done = [(each.part, *(round(n, 1) for n in each.costs.values())) for each in staged.done]
    costs = list(staged.done[0].costs) if staged.done else []
    return dg.MaterializeResult(
        metadata={
            "model": str(staged.version),
            "fingerprint": staged.seat.fingerprint,
            "folder": staged.seat.folder,
            "mlflow_run": dg.MetadataValue.url(staged.run),
            "price": markdown_table([("part", "texts", "tokens", "seconds"), *price]),
            "cost": markdown_table([("part", *costs), *done]),
            "computed": staged.computed,
        }
    )


@dg.asset(
    group_name="models",
    io_manager_key="parquet",
    kinds={"parquet", "mlflow"},
    deps=[challenger],
    metadata={"dagster/column_schema": columns(GATES_SCHEMA)},
)
@retried
def model_gates(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> Slice:
    """What the gates say of the challenger: one row each, with its value, the champion's, and the
    limit. A gate that is closed, missing or stale lets no model serve."""
    opened = workspace.open()
    with opened.seats_file.working():
        tried, found = judged(opened)
    version = tried.model_version
    tags = {"dagster_run_id": context.run.run_id}
    settings = {"champion": opened.fingerprint}
    with opened.registry.vector_run("model_gates", version, settings, tags) as run:
        run.add({gate.name: gate.value for gate in found.gates if gate.value is not None})
    rows = [(gate.name, gate.verdict, gate.words) for gate in found.gates]
    context.add_asset_metadata(
        {
            "model": str(version),
            "mlflow_run": dg.MetadataValue.url(run.link),
            "gates": markdown_table([("gate", "verdict", "what was found"), *rows]),
            "closed": [gate.name for gate in found.closed],
        }
    )
    return found.to_slice()


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(
            f"model_gates_{name}",
            asset=model_gates,
            blocking=True,
            description=f"The gate `{name}` lets the challenger pass.",
        )
        for name in GATES
    ]
)
def gates_open(model_gates: ParquetTable) -> Iterator[dg.AssetCheckResult]:
    """Every gate lets the challenger pass."""
    found = Judgement.stored(model_gates)
    given = {gate.name: gate for gate in found.gates} if found else {}
    for name in GATES:
        gate = given.get(name)
        numbers = (
            {"value": gate.value, "champion": gate.champion, "limit": gate.limit} if gate else {}
        )
        yield dg.AssetCheckResult(
            passed=gate is not None and gate.is_open,
            check_name=f"model_gates_{name}",
            asset_key="model_gates",
            metadata={
                "verdict": gate.verdict if gate else "missing",
                "found": gate.words if gate else "was not judged",
                **{key: value for key, value in numbers.items() if value is not None},
            },
        )


@dg.asset(group_name="models", deps=[model_gates])
@retried
def champion(workspace: WorkspaceResource) -> dg.MaterializeResult[None]:
    """The model that serves. To materialize it is to promote the challenger: the results of the
    gates are read, what came since is computed, then one file is replaced."""
    switched = promote(workspace.open())
    return dg.MaterializeResult(
        metadata={
            "model": switched.champion.model,
            "fingerprint": switched.champion.fingerprint,
            "before": switched.before.model,
            "pending": list(switched.pending),
        }
    )
