import pytest

from embedding_assets import workspace as workspace_module
from embedding_assets.embedding import precision
from embedding_assets.registry import Registry
from embedding_assets_tests.integration.tiny import tiny_model
from embedding_assets_tests.release.two_models import Place, fill, registering, without_upload


@pytest.fixture(scope="session")
def quick_registry():
    """What has a process of its own otherwise is done in this one; versions have no files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Registry, "_register", without_upload)
        for module in (workspace_module, precision):
            patch.setattr(module, "aside", lambda function, *args: function(*args))
        yield


@pytest.fixture(scope="session")
def filled(tmp_path_factory, quick_registry):
    folder = tmp_path_factory.mktemp("release")
    first = tiny_model(folder / "first", 32)
    second = tiny_model(folder / "second", 64)
    place = Place(folder / "place", first, second)
    place.folder.mkdir()
    # Its precision is measured once for all tests.
    fill(place).fingerprint_of(str(second), "auto")
    return place


@pytest.fixture
def place(filled, tmp_path, no_environment):
    return filled.copy(tmp_path / "place")
