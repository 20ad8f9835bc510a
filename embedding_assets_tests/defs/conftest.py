import dagster as dg
import pytest
from dagster._core.storage.defs_state.base import _current_storage

from embedding_assets_tests.integration.conftest import (  # noqa: F401
    graph,
    model,
    pinned,
    registered,
)


@pytest.fixture
def inside(graph, monkeypatch):  # noqa: F811
    """A registered workplace whose settings this process reads."""
    for name, value in graph.environment.items():
        monkeypatch.setenv(name, value)
    return graph


@pytest.fixture(autouse=True)
def no_instance_of_another_test():
    """Dagster looks for the state of definitions in the instance that was opened last, which may
    have been collected since."""
    _current_storage.set(None)


@pytest.fixture
def instance():
    with dg.instance_for_test() as made:
        yield made
