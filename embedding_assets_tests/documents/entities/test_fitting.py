import pytest

from embedding_assets.documents.entities import fitting
from embedding_assets.documents.entities.fitting import Fitting, fit
from embedding_assets.errors import StoreLockedError
from embedding_assets_tests.storage import processes


def test_no_two_trainings_work_in_one_folder(tmp_path, monkeypatch):
    work = tmp_path / "work"
    order = Fitting(tmp_path / "labelled.conll", "no model", tmp_path, work)
    monkeypatch.setattr(fitting, "_LONGEST_SECONDS", 0.0)
    held = (
        "from pathlib import Path\n"
        "from embedding_assets.storage.lock import hold\n"
        f"hold(Path({str(work / 'training.lock')!r}))"
    )
    with processes.waiting(held) as other, pytest.raises(StoreLockedError, match=str(other.pid)):
        fit(order, tmp_path / "model")
