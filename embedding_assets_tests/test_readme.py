"""What the README shows is true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from embedding_assets import cli
from embedding_assets.settings import Group, Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def settings_table():
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, Group):
            for key, inner in type(field.default).model_fields.items():
                yield row(f"{name}.{key}", inner)
        else:
            yield row(name, field)


def row(name, field):
    default = "–" if field.default is None else f"`{field.default}`"
    return f"| `{name}` | {default} | {field.description} |"


def test_the_table_of_settings_is_that_of_the_code():
    between = README.split("<!-- settings:")[1].split("<!-- end of settings -->")[0]
    rows = [line for line in between.splitlines() if line.startswith("| `")]
    assert rows == list(settings_table())


def test_every_command_that_it_names_exists():
    named = set(re.findall(r"^embedding-assets (\w+)", README, re.MULTILINE))
    assert named and named <= set(typer.main.get_command(cli.app).commands)


def test_every_file_that_it_links_exists():
    links = re.findall(r"\]\((?!http)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.fixture
def orders(tmp_path):
    subprocess.run(
        [sys.executable, ROOT / "data" / "generate_data.py", "--records", "200",
         "--out", tmp_path / "orders.parquet"],
        check=True,
    )  # fmt: skip
    return tmp_path


def test_its_python_example_runs(orders, monkeypatch, capsys):
    [example] = re.findall(r"### From Python\n\n```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(orders)
    exec(compile(example, "README.md", "exec"), {})
    accounts, computed, reused, cut = capsys.readouterr().out.split()
    assert int(accounts) == int(computed) + int(reused) == 20
    assert cut == "0"
    assert (orders / "accounts.parquet").exists()
