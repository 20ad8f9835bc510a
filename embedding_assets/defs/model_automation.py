"""When models are staged by themselves, and how one is put back."""

import dagster as dg

from embedding_assets.defs.models import challenger, champion, model_gates
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.defs.runs import unfinished_runs
from embedding_assets.errors import RegistryError
from embedding_assets.experiments.plan import CHALLENGER
from embedding_assets.registry import ModelVersion
from embedding_assets.release.aliases import align_aliases, align_champion
from embedding_assets.release.promote import roll_back
from embedding_assets.settings import load_settings
from embedding_assets.workspace import Workspace

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
        wishes = _wishes(opened)
        is_put_back = align_champion(opened) if wishes else align_aliases(opened)
    except RegistryError as error:
        return dg.SkipReason(error.problem)
    run_key = _run_key(context, wishes)
    if is_put_back:
        return dg.SkipReason("The aliases were put back to what is served and tried.")
    if not wishes:
        return dg.SkipReason("No other version is called challenger.")
    if len(wishes) > 1:
        return dg.SkipReason(
            f"Several versions are called challenger: {', '.join(map(str, wishes))}."
        )
    if unfinished_runs(context.instance, stage_model_job.name) or opened.seats_file.worker:
        return dg.SkipReason("A model is being staged, judged or promoted.")
    config = {"ops": {"challenger": {"config": {"model": wishes[0].source}}}}
    return dg.RunRequest(run_key=run_key, run_config=config)


def _wishes(opened: Workspace) -> list[ModelVersion]:
    """The versions that somebody called challenger; none while the aliases may still be those of
    before the last change of the seats."""
    seats = opened.seats
    if not seats.aliased:
        return []
    tried = seats.challenger
    return [
        version
        for version in opened.registry.aliased(CHALLENGER)
        if version.fingerprint != opened.fingerprint
        and not (tried and tried.is_for(version.source, version.fingerprint))
    ]


def _run_key(context: dg.SensorEvaluationContext, wishes: list[ModelVersion]) -> str:
    """One for as long as the same versions are called so: a model that cannot be staged is not
    tried again and again, but once more when the alias was taken from it and given again."""
    number, _, before = (context.cursor or "0 ").partition(" ")
    named = " ".join(sorted(version.source for version in wishes))
    if named != before:
        number = str(int(number) + bool(named))
        context.update_cursor(f"{number} {named}")
    return f"{named} ({number})"
