import pytest

from embedding_assets.embedding.folder import read_layout
from embedding_assets_tests.integration.tiny import tiny_model


@pytest.fixture(scope="package")
def layout(tmp_path_factory):
    """The layout of a small BERT."""
    return read_layout(tiny_model(tmp_path_factory.mktemp("models") / "tiny"))
