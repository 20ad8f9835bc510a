import dagster as dg
import pytest

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


@pytest.fixture
def instance():
    with dg.instance_for_test() as made:
        yield made
