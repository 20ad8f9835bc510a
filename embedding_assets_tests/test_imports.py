import ast
from pathlib import Path

import pytest

import embedding_assets
from embedding_assets_tests.storage import processes

ROOT = Path(embedding_assets.__file__).parent
CORE = (
    "apps", "documents", "embedding", "experiments", "quality", "records", "search", "storage",
    "training",
)  # fmt: skip
HEAVY = {"dagster", "mlflow", "fastapi", "torch", "transformers", "sentence_transformers"}


def loaded_by(modules):
    code = "; ".join(f"import {module}" for module in modules)
    return set(processes.run(f"import sys; {code}; print(*sys.modules)").split())


def modules_below(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    return [".".join(path.relative_to(ROOT.parent).with_suffix("").parts) for path in files]


def imports_of(path):
    """All modules that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def importers(package):
    return {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        if any(name.split(".")[0] == package for name in imports_of(path))
    }


@pytest.mark.parametrize("folder", [*CORE, "forget"])
def test_the_core_loads_no_framework_and_no_model_library(folder):
    assert loaded_by(modules_below(folder)) & HEAVY == set()


def test_the_package_itself_loads_neither_numpy_nor_pyarrow():
    assert (
        loaded_by(["embedding_assets"]) & {*HEAVY, "numpy", "pyarrow", "pandas", "duckdb"} == set()
    )


def test_only_the_graph_imports_dagster():
    assert {
        name for name in importers("dagster") if not name.startswith(("defs/", "definitions.py"))
    } == set()


def test_only_the_service_imports_fastapi():
    assert {name for name in importers("fastapi") if not name.startswith("api/")} == set()


def test_the_doors_do_not_know_each_other():
    for door, other in (("api", "defs"), ("defs", "api")):
        for path in (ROOT / door).rglob("*.py"):
            assert not any(f"embedding_assets.{other}" in name for name in imports_of(path)), path


def test_only_the_registry_imports_mlflow():
    assert importers("mlflow") == {"registry.py"}


@pytest.mark.parametrize("folder", CORE)
def test_the_core_knows_neither_settings_nor_doors(folder):
    doors = {"settings", "defs", "api", "workspace", "registry", "cli", "definitions", "report"}
    for path in (ROOT / folder).rglob("*.py"):
        ours = {
            name.split(".")[1] for name in imports_of(path) if name.startswith("embedding_assets.")
        }
        assert ours & doors == set(), path


def test_no_code_imports_tests():
    assert importers("embedding_assets_tests") == set()
