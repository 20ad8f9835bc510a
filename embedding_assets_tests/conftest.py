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

LONGEST = tuple(
    f"{name}.py::"
    for name in (
        "integration/test_make", "integration/test_real_data", "defs/test_automation",
        "forget/test_accounts", "integration/test_limits", "defs/test_documents",
    )
)  # fmt: skip
"""Files that take minutes: begun first, so that no process waits for another's at the end."""


def pytest_collection_modifyitems(items):
    place = {name: number for number, name in enumerate(LONGEST)}
    last = len(LONGEST)
    items.sort(key=lambda item: min((place[n] for n in LONGEST if n in item.nodeid), default=last))


@pytest.fixture(autouse=True)
def own_logs():
    """What one test's command sets up for its logs is not the next one's."""
    yield
    structlog.reset_defaults()


class LiveStorage:
    """Dagster's storage of the state of definitions, as long as its instance lives.

    Dagster looks for it in the instance that was opened last. One that was never closed puts the
    one before in that place when it is collected, whatever is opened by then.
    """

    def __init__(self, kept):
        self._kept = kept

    def get(self):
        found = self._kept.get()
        known = found and found._instance_weakref
        return None if known and known() is None else found

    def __getattr__(self, name):
        return getattr(self._kept, name)


@pytest.fixture(autouse=True)
def no_instance_of_another_test():
    """Definitions are loaded without what an earlier test left behind."""
    state = sys.modules.get("dagster._core.storage.defs_state.base")
    if state is not None and not isinstance(state._current_storage, LiveStorage):
        state._current_storage = LiveStorage(state._current_storage)


@pytest.fixture
def no_environment(monkeypatch, tmp_path):
    """No setting from outside: an empty folder and none of our variables."""
    for name in [*os.environ]:
        if name.startswith(PREFIX) or name == "MLFLOW_TRACKING_URI":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
