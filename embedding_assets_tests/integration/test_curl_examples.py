"""Every curl example of the README and of the service's reference, as it is printed."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from embedding_assets.api.keys import KeyStore, NewKey
from embedding_assets.api.service import open_service_engine
from embedding_assets_tests.examples import curl_examples, faults, shown_json
from embedding_assets_tests.integration.stocked_folder import fill, settings_of

CURL = shutil.which("curl")
pytestmark = pytest.mark.skipif(CURL is None, reason="curl is not installed")

ROOT = Path(__file__).parents[2]
PAGES = {name: (ROOT / name).read_text() for name in ("README.md", "docs/api.md")}
EXAMPLES = {
    f"{name}: {example.section}": [
        each for each in curl_examples(page) if each.section == example.section
    ]
    for name, page in PAGES.items()
    for example in curl_examples(page)
}
PRINTED = "http://127.0.0.1:8000"
SERVE = "from embedding_assets.cli import main; main()"
# Tells where an answer ends, and its status.
CURLRC = 'write-out = "\\n#%{http_code}\\n"\nnoproxy = "*"\n'
ANSWER = re.compile(r"(.*?)\n#(\d{3})\n", re.DOTALL)


@dataclass(frozen=True)
class Served:
    """A service, and the folder with what it answers from."""

    folder: Path
    url: str

    def run(self, commands, cwd, **environment):
        """The body and the status of each answer to commands as they are printed."""
        done = subprocess.run(
            ["bash", "-e", "-c", commands.replace(PRINTED, self.url)],
            cwd=cwd,
            env={**os.environ, "CURL_HOME": str(self.folder), **environment},
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr.decode()
        answers = ANSWER.findall(done.stdout.decode())
        assert len(answers) == len(re.findall(r"^curl ", commands, re.MULTILINE))
        return [(body, int(status)) for body, status in answers]


@pytest.fixture(scope="module")
def served(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("served")
    (folder / ".curlrc").write_text(CURLRC)
    fill(settings_of(folder, model))
    outside = {k: v for k, v in os.environ.items() if not k.startswith("EMBEDDING_ASSETS")}
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, "serve", "--port", "0"],
            cwd=ROOT,
            env={**outside, **environment_of(folder, model)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        url = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())[0]
        wait = [CURL, "-sf", "--retry", "100", "--retry-delay", "1", f"{url}/health/ready"]
        subprocess.run(wait, check=True, capture_output=True)
        yield Served(folder, url)
    finally:
        process.terminate()
        process.communicate()


def environment_of(folder, model):
    """The variables that name what `settings_of` does."""
    settings = settings_of(folder, model)
    return {
        "EMBEDDING_ASSETS_DATA_DIR": str(settings.data_dir),
        "EMBEDDING_ASSETS_APPS__SOURCE": settings.apps.source,
        "EMBEDDING_ASSETS_DOCUMENTS__SOURCE": settings.documents.source,
        "EMBEDDING_ASSETS_MODEL__NAME": settings.model.name,
        "HF_HUB_OFFLINE": "1",
    }


def check(example, answers):
    """The commands of an example succeed, and the last one's answer is like the one shown."""
    *before, (body, status) = answers
    assert all(each < 400 for _, each in before), before
    expected = 200
    if example.kind == "json":
        shown, real = shown_json(example.shown), json.loads(body)
        expected = shown.get("status", 200) if "mend" in shown else expected
        assert [*faults(shown, real)] == []
    elif example.kind == "http":
        (line, shown), (real_line, real) = head(example.shown), head(body)
        assert line == real_line
        assert shown <= real
    elif example.kind == "text":
        assert metrics(example.shown) <= metrics(body)
    assert status == expected or (expected == 200 and status == 201), body


def head(text):
    """The first line of an answer with its head, and the names of its headers."""
    first, *lines = text.replace("\r", "").partition("\n\n")[0].strip().splitlines()
    return first, {line.partition(":")[0] for line in lines}


def metrics(text):
    """Each metric in Prometheus' format with the names of its labels."""
    lines = re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE)
    return {(name, *re.findall(r"(\w+)=", labels)) for name, labels in lines}


@pytest.mark.parametrize("place", EXAMPLES)
def test_examples_of_a_section_do_what_is_shown(served, place, tmp_path):
    for example in EXAMPLES[place]:
        if "$KEY" not in example.commands:
            check(example, served.run(example.commands, tmp_path))
    for written in tmp_path.iterdir():
        assert written.read_bytes().startswith(b"\x89PNG")


# The last: from the first key on the service answers nobody without one.
def test_examples_with_a_key_do_what_is_shown(served, model, tmp_path):
    engine = open_service_engine(settings_of(served.folder, model))
    secret, _ = KeyStore(lambda: engine).create(NewKey("shop", frozenset({"search"})))
    engine.dispose()
    keyed = [e for each in EXAMPLES.values() for e in each if "$KEY" in e.commands]
    assert keyed
    for example in keyed:
        check(example, served.run(example.commands, tmp_path, KEY=secret))
        [(body, status)] = served.run(example.commands, tmp_path, KEY=secret[:-1] + "-")
        assert (status, json.loads(body)["status"]) == (401, 401)
