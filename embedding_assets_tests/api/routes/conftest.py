import os

import pytest
from starlette.testclient import TestClient

from embedding_assets.api.app import create_app
from embedding_assets.settings import PREFIX, Settings
from embedding_assets_tests.api.conftest import BASE_URL
from embedding_assets_tests.api.stocked import Stock
from embedding_assets_tests.search.collection import ENCODER


@pytest.fixture
def stock(settings_of):
    """A filled data folder of the test's own."""
    return Stock(settings_of()).fill()


@pytest.fixture
def stocked(stock, open_client):
    """A client of an application over it."""
    return open_client(encoder=lambda: ENCODER)


@pytest.fixture(scope="module")
def kept_stock(tmp_path_factory):
    """A filled data folder that no test changes."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        for name in [*os.environ]:
            if name.startswith(PREFIX):
                patch.delenv(name)
        settings = Settings(
            data_dir=folder / "store", documents={"source": str(folder / "watched")}
        )
        yield Stock(settings).fill()


@pytest.fixture(scope="module")
def kept(kept_stock):
    """A client of an application over it."""
    app = create_app(kept_stock.workspace.settings, encoder=lambda: ENCODER)
    with TestClient(app, base_url=BASE_URL) as client:
        yield client
