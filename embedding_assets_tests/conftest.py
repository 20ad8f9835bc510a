"""Settings of all tests."""

import os
import sys

import pytest
import structlog
from hypothesis import settings

from embedding_assets.settings import PREFIX

# The same examples on each run, no time limits on a shared machine, nothing written beside the code
settings.register_profile("steady", deadline=None, derandomize=True, database=None)
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def own_logs():
    """What one test's command sets up for its logs is not the next one's."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def no_instance_of_another_test():
    """Dagster looks for the state of definitions in the instance that was opened last, which may
    have been collected since."""
    state = sys.modules.get("dagster._core.storage.defs_state.base")
    if state is not None:
        state._current_storage.set(None)


@pytest.fixture
def no_environment(monkeypatch, tmp_path):
    """No setting from outside: an empty folder and none of our variables."""
    for name in [*os.environ]:
        if name.startswith(PREFIX) or name == "MLFLOW_TRACKING_URI":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
