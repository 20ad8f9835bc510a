import pytest

from embedding_assets.release.stage import stage, take_seat
from embedding_assets_tests.integration.tiny import tiny_model
from embedding_assets_tests.release.judged import LENIENT
from embedding_assets_tests.release.two_models import Place, fill, quick


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    first = tiny_model(folder / "first", 32)
    second = tiny_model(folder / "second", 64)
    place = Place(folder / "place", first, second)
    place.folder.mkdir()
    with quick():
        # Its precision is measured once for all tests.
        fill(place).fingerprint_of(str(second), "auto")
    return place


@pytest.fixture
def place(filled, tmp_path, no_environment):
    with quick():
        yield filled.copy(tmp_path / "place")


@pytest.fixture
def staged(place):
    """What serves, and the challenger beside it."""
    opened = place.open(release=LENIENT)
    tried = take_seat(opened, str(place.second))
    stage(opened, tried)
    return opened, tried
