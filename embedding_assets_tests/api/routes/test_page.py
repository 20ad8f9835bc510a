import re

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from embedding_assets.api.handlers import add_handlers
from embedding_assets.api.routes import page
from embedding_assets.api.routes.page import page_files

SCRIPTS = sorted(name for name in page_files() if name.endswith(".js"))


@pytest.fixture
def client():
    app = FastAPI()
    app.include_router(page.router)
    add_handlers(app)
    return TestClient(app)


def text_of(name):
    return page_files()[name].body.decode()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/web/main.js", "text/javascript; charset=utf-8"),
        ("/web/style.css", "text/css; charset=utf-8"),
        ("/web/icons.svg", "image/svg+xml"),
    ],
)
def test_a_file_is_sent_with_its_type_and_asked_for_again_each_time(client, path, kind):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == kind
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.content


def test_a_browser_that_has_a_file_is_told_so(client):
    etag = client.get("/web/main.js").headers["etag"]
    for known in (etag, f'"other", W/{etag}'):
        answer = client.get("/web/main.js", headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag


def test_a_changed_file_is_sent_anew(client):
    answer = client.get("/web/main.js", headers={"If-None-Match": '"older"'})
    assert answer.status_code == 200


def test_head_tells_the_length_without_the_file(client):
    answer = client.head("/")
    assert answer.content == b""
    assert int(answer.headers["content-length"]) == len(client.get("/").content)


@pytest.mark.parametrize(
    "name", ["absent.js", "index.htm", "..%2fapp.py", "%2e%2e/app.py", "page.py", "main.js%00"]
)
def test_nothing_but_the_page_s_files_is_served(client, name):
    assert client.get(f"/web/{name}").status_code == 404


def test_the_page_has_nothing_inline_that_its_policy_would_block():
    html = text_of("index.html")
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", html)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html))


@pytest.mark.parametrize("name", sorted(page_files()))
def test_a_file_names_no_other_host(name):
    addresses = set(re.findall(r"https?://[^\s\"')]+", text_of(name)))
    assert addresses <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_makes_markup_or_code_of_data(name):
    made = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser"
    assert not re.search(made, text_of(name))


@pytest.mark.parametrize("name", ["index.html", *SCRIPTS])
def test_every_file_and_icon_that_is_named_exists(name):
    text = text_of(name)
    files = re.findall(r'"(?:web/|\./)([\w.-]+)', text)
    icons = re.findall(r'icons\.svg#([\w-]+)"|icon\("([\w-]+)"\)', text)
    assert set(files) <= set(page_files())
    known = set(re.findall(r'<symbol id="([\w-]+)"', text_of("icons.svg")))
    assert {one or other for one, other in icons} <= known
