import pytest

from embedding_assets_tests.records.shop import stocked


@pytest.fixture(scope="module")
def stock():
    """What puts a shop with records into a folder; a module may have its own."""
    return stocked


@pytest.fixture(scope="module")
def ran_once(stock, tmp_path_factory):
    """The shop after a run."""
    shop = stock(tmp_path_factory.mktemp("shop"))
    shop.run_all()
    return shop


@pytest.fixture
def shop(stock, tmp_path):
    """The shop before any run."""
    return stock(tmp_path)


@pytest.fixture
def ran(ran_once, tmp_path):
    """A copy of the shop after a run."""
    return ran_once.copy(tmp_path)
