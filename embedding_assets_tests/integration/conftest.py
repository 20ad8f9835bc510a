import shutil

import pytest

from embedding_assets_tests.integration.tiny import tiny_model
from embedding_assets_tests.integration.workplace import Workplace, record, write_records


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def pinned(tmp_path_factory, model):
    """A workplace whose data folder knows the precision of the model, and nothing else."""
    place = Workplace.new(tmp_path_factory.mktemp("pinned") / "place", model)
    done = place.embed(
        write_records(place.folder / "one.parquet", [record()]), place.folder / "out.parquet"
    )
    assert done.code == 0, done
    return place


@pytest.fixture
def place(pinned, tmp_path):
    return pinned.copy(tmp_path / "place")


@pytest.fixture(scope="session")
def registered(pinned, tmp_path_factory):
    """A workplace whose model is registered in MLflow and live, and no asset made."""
    place = pinned.copy(tmp_path_factory.mktemp("registered") / "place")
    done = place.materialize("2026-03-01", "2026-03-01")
    assert done.code == 0, done
    shutil.rmtree(place.data_dir / "assets")
    (place.data_dir / "tables.duckdb").unlink()
    (place.data_dir / "warehouse.duckdb").unlink()
    return place


@pytest.fixture
def graph(registered, tmp_path):
    return registered.copy(tmp_path / "place")
