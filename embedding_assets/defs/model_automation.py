"""When models are staged by themselves, and how one is put back."""

import dagster as dg

from embedding_assets.defs.models import challenger, champion, model_gates
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.defs.runs import unfinished_runs
from embedding_assets.errors import RegistryError
from embedding_assets.release.promote import roll_back
from embedding_assets.release.stage import CHALLENGER, align_aliases
from embedding_assets.settings import load_settings

stage_model_job = dg.define_asset_job(
    "stage_model",
    selection=[challenger],
    description="Compute another model's vectors and indexes beside those that serve.",
)
evaluate_model_job = dg.define_asset_job(
    "evaluate_model", selection=[model_gates], description="Judge the staged model by the gates."
)
promote_model_job = dg.define_asset_job(
    "promote_model",
    selection=[champion],
    description="Let the staged model serve, if every gate lets it.",
)
release_model_job = dg.define_asset_job(
    "release_model",
    selection=[challenger, model_gates, champion],
    description="Stage a model, judge it, and let it serve if every gate lets it.",
)


@dg.op
def put_back(context: dg.OpExecutionContext, workspace: WorkspaceResource) -> None:
    """Let the model before serve again."""
    switched = roll_back(workspace.open())
    context.log.info(f"{switched.champion.model} serves now, before it {switched.before.model}.")
    for problem in switched.pending:
        context.log.warning(f"Still to follow: {problem}")


@dg.job(description="Let the model that served before serve again, at once.")
def roll_back_model() -> None:
    """One step."""
    put_back()


@dg.sensor(
    job=stage_model_job,
    minimum_interval_seconds=max(60, load_settings().automation.sensor_seconds),
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def challenger_alias_moved(
    context: dg.SensorEvaluationContext, workspace: WorkspaceResource
) -> dg.RunRequest | dg.SkipReason:
    """A model version that is given the alias `challenger` in the registry is staged; the alias
    `champion` is put back where it belongs, since only a promotion moves it."""
    opened = workspace.open()
    if opened.known_fingerprint is None:
        return dg.SkipReason("Nothing is embedded here yet.")
    try:
        named = opened.registry.aliased(CHALLENGER)
    except RegistryError as error:
        return dg.SkipReason(error.problem)
    tried = opened.seats.challenger
    if len(named) > 1:
        return dg.SkipReason(
            f"Several versions are called challenger: {', '.join(map(str, named))}."
        )
    source = f"models:/{named[0].name}/{named[0].version}" if named else ""
    if not named or (tried and tried.is_for(source, named[0].fingerprint)):
        aligned = tried is None or tried.staged is not None
        if aligned and (named or tried) and align_aliases(opened):
            return dg.SkipReason("The aliases were put back to what is served and tried.")
        return dg.SkipReason("No other version is called challenger.")
    if unfinished_runs(context.instance, stage_model_job.name):
        return dg.SkipReason("A model is being staged.")
    return dg.RunRequest(
        # Once for each champion: a model that cannot be staged is not tried again and again.
        run_key=f"{source} beside {opened.fingerprint}",
        run_config={"ops": {"challenger": {"config": {"model": source}}}},
    )
