"""Commands around apps: similar ones, and what to expect of one."""

from typing import TYPE_CHECKING, Annotated

import typer

from embedding_assets.cli.output import AsJson, show, workspace

if TYPE_CHECKING:
    from embedding_assets.apps.metadata import AppQuery

app = typer.Typer(help="Similar apps and predicted click rates.", no_args_is_help=True)

AppId = Annotated[
    str | None, typer.Argument(metavar="[APP_ID]", help="A known app; else describe a new one.")
]
Name = Annotated[str | None, typer.Option(help="Name of a new app.")]
Category = Annotated[str | None, typer.Option(help="Category of a new app.")]
Platform = Annotated[str | None, typer.Option(help="Platform of a new app.")]


@app.command("similar")
def apps_similar(
    app_id: AppId = None,
    name: Name = None,
    category: Category = None,
    platform: Platform = None,
    version: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Of the vectors; else the first.")
    ] = None,
    top: Annotated[int, typer.Option("-k", "--top", min=1, help="How many apps.")] = 20,
    filter_category: Annotated[
        list[str] | None, typer.Option(metavar="CATEGORY", help="Only apps of one of these.")
    ] = None,
    filter_platform: Annotated[
        list[str] | None, typer.Option(metavar="PLATFORM", help="Only apps of one of these.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the apps most similar to a known app, or to a new one by its metadata."""
    described = _described(app_id, name, category, platform)
    opened = workspace()
    from embedding_assets.app_report import similar_text
    from embedding_assets.apps.answers import AppFilters

    filters = AppFilters(tuple(filter_category or ()), tuple(filter_platform or ()))
    catalogue = opened.catalogue
    found = catalogue.service.find_similar(
        app_id, version or catalogue.versions[0], top, app=described, filters=filters
    )
    show(found, similar_text, as_json)


@app.command("predict")
def apps_predict(
    app_id: AppId = None,
    name: Name = None,
    category: Category = None,
    platform: Platform = None,
    version: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Of the vectors; else the best one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the expected click rate of an app with its interval, and the segments that respond."""
    described = _described(app_id, name, category, platform)
    opened = workspace()
    from embedding_assets.app_report import prediction_text

    found = opened.catalogue.service.predict(app_id, version, app=described)
    show(found, prediction_text, as_json)


@app.command("versions")
def apps_versions(as_json: AsJson = False) -> None:
    """Show the versions of the index that are kept."""
    opened = workspace()
    from embedding_assets.app_report import versions_text

    show(opened.catalogue.kept(), versions_text, as_json)


@app.command("rollback")
def apps_rollback(as_json: AsJson = False) -> None:
    """Serve the version of the index before the current one, until the next one is built."""
    opened = workspace()
    manifest = opened.catalogue.roll_back()
    show(manifest, lambda m: f"{m.version} is served: {m.apps:,} apps.", as_json)


def _described(
    app_id: str | None, name: str | None, category: str | None, platform: str | None
) -> "AppQuery | None":
    """The new app that the options describe; None for a known one. Raises BadParameter."""
    from embedding_assets.apps.metadata import AppQuery

    described = AppQuery(name, category, platform)
    if (app_id is None) != bool(described.text):
        raise typer.BadParameter("Give either APP_ID, or any of --name, --category, --platform.")
    return None if app_id else described
