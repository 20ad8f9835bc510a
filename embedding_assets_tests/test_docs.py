"""What the pages for people name is there: files, commands, settings, endpoints, scopes."""

import re
from pathlib import Path

import click
import pytest
import typer
from starlette.testclient import TestClient

from embedding_assets import cli
from embedding_assets.api.app import create_app
from embedding_assets.api.keys import SCOPES, KeyStore, NewKey
from embedding_assets.api.service import open_service_engine
from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.settings import PREFIX, Group, Settings

ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
}
API = PAGES["docs/api.md"]
NO_SETTINGS = {"search.search_many", "service.db"}
UNDESCRIBED = {"/", "/docs", "/openapi.json"}
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")


def settings_names():
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, Group):
            yield from (f"{name}.{key}" for key in type(field.default).model_fields)
        else:
            yield name


def anchors(page):
    """The headings of a page as links name them."""
    for heading in re.findall(r"^#+ (.+)$", FENCED.sub("", page), re.MULTILINE):
        yield re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", PAGES)
def test_every_link_of_a_page_leads_somewhere(name):
    missing = []
    links = re.findall(r"\]\((?!https?:)([^)\s#]*)(?:#([^)\s]+))?\)", PAGES[name])
    for target, anchor in links:
        path = (ROOT / name).parent / target if target else ROOT / name
        page = path.resolve().relative_to(ROOT).as_posix()
        if not path.exists() or (anchor and anchor not in anchors(PAGES[page])):
            missing.append(f"{target}#{anchor}")
    assert missing == []


@pytest.mark.parametrize("name", PAGES)
def test_every_command_of_a_page_exists(name):
    commands = typer.main.get_command(cli.app).commands
    unknown = []
    for first, second in re.findall(r"\bembedding-assets ([a-z]+)(?: ([a-z-]+))?", PAGES[name]):
        command = commands.get(first)
        is_group = isinstance(command, click.Group)
        if command is None or (is_group and second and second not in command.commands):
            unknown.append(f"{first} {second}")
    assert unknown == []


@pytest.mark.parametrize("name", PAGES)
def test_every_setting_of_a_page_exists(name):
    known = {*settings_names()}
    groups = "|".join(sorted({each.partition(".")[0] for each in known if "." in each}))
    named = set(re.findall(rf"`((?:{groups})\.\w+)`", PAGES[name])) - NO_SETTINGS
    variables = set(re.findall(rf"\b{PREFIX}(\w+)", PAGES[name])) - {"CONFIG"}
    named |= {each.lower().replace("__", ".") for each in variables}
    assert named - known == set()


def named_endpoints():
    """The paths that the reference names, in its text or in an example."""
    for text in INLINE.findall(FENCED.sub("", API)):
        if found := re.fullmatch(r"(?:(?:GET|POST) )?(/[\w/{}.-]*)", text):
            yield found[1]
    yield from re.findall(r"http://127\.0\.0\.1:8000(/[\w/.-]*)", API)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("docs") / "store",
        service={"keys": "always", "hosts": ("testserver",)},
    )
    return create_app(settings, encoder=HashingEncoder)


def test_the_reference_names_every_endpoint_and_no_other(app):
    templates = {path: re.sub(r"\{\w+\}", "[^/]+", path) for path in app.openapi()["paths"]}
    named = {*named_endpoints()} - UNDESCRIBED
    of = {path: [t for t, pattern in templates.items() if re.fullmatch(pattern, path)]
          for path in named}  # fmt: skip
    assert [path for path, found in of.items() if not found] == []
    assert {found[0] for found in of.values()} == {*templates}


def scope_rows():
    """Each scope with the endpoints that the reference says it opens: method, if any, and path."""
    section = API.split("\n## Keys and scopes\n")[1].split("\n## ")[0]
    for name, opens in re.findall(r"^\| `([\w:]+)` \| (.+) \|$", section, re.MULTILINE):
        yield name, re.findall(r"`(?:(GET|POST) )?(/[\w/{}-]+)`", opens)


def test_the_reference_has_every_scope():
    assert tuple(name for name, _ in scope_rows()) == SCOPES


def test_each_scope_opens_what_the_reference_says(app):
    operations = {
        (method.upper(), path) for path, each in app.openapi()["paths"].items() for method in each
    }
    engine = open_service_engine(app.state.service.settings)
    store = KeyStore(lambda: engine)
    with TestClient(app) as client:
        for scope, opens in scope_rows():
            others = frozenset(SCOPES) - {scope, "admin"}
            its, no = (
                {"X-API-Key": store.create(NewKey("docs", scopes))[0]}
                for scopes in (frozenset({scope}), others)
            )
            for said, path in opens:
                [method, *_] = [m for m, each in operations if each == path and said in ("", m)]
                operations.remove((method, path))
                url = path.replace("{id}", "none")
                assert client.request(method, url, headers=its).status_code not in (401, 403), path
                assert client.request(method, url, headers=no).status_code == 403, path
    engine.dispose()
    assert operations == {("GET", "/health/live"), ("GET", "/health/ready")}
