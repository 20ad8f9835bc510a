"""An application over an empty data folder, with an encoder that needs no model."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from starlette.testclient import TestClient

from embedding_assets.api.app import create_app
from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.settings import Settings

BASE_URL = "http://127.0.0.1:8000"


@pytest.fixture
def settings_of(tmp_path, no_environment) -> Callable[..., Settings]:
    """Settings of a data folder of the test's own; arguments are those of `service`."""

    def make(**service) -> Settings:
        return Settings(data_dir=tmp_path / "store", service=service)

    return make


@pytest.fixture
def open_client(settings_of) -> Iterator[Callable[..., TestClient]]:
    """Opens clients of applications that are running; arguments are those of `service`."""
    with ExitStack() as stack:

        def open_it(*, encoder=HashingEncoder, is_loopback=True, **service) -> TestClient:
            app = create_app(settings_of(**service), encoder=encoder, is_loopback=is_loopback)
            return stack.enter_context(TestClient(app, base_url=BASE_URL))

        yield open_it


@pytest.fixture
def client(open_client) -> TestClient:
    """A client of an application with the default settings."""
    return open_client()
