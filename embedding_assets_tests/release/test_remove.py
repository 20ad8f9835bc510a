import os
import shutil
from dataclasses import replace

import pytest

from embedding_assets.domain_model import REGISTERED_NAME
from embedding_assets.release.remove import remove_unused_models
from embedding_assets.release.stage import fetched_folder, look_at, take_seat
from embedding_assets.storage.folders import remove_folder
from embedding_assets.training.make import RECORD, Made
from embedding_assets_tests.release.two_models import quick

MADE = Made("model", "", "base", "static", 1, (), {}, {}, {}, 1.0)
LONG_AGO = 1_700_000_000


@pytest.fixture
def opened(place):
    return place.open()


def put(workspace, model, name, seconds):
    """A model that was made here that many seconds after long ago."""
    folder = workspace.trainer.folder / name
    shutil.copytree(model, folder / MADE.name)
    replace(MADE, digest=name).save(folder / RECORD)
    return aged(folder, seconds)


def fetched(workspace, model, name, seconds):
    folder = fetched_folder(workspace) / name
    shutil.copytree(model, folder)
    return aged(folder, seconds)


def aged(folder, seconds):
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (LONG_AGO + seconds, LONG_AGO + seconds))
    return folder


def test_what_nothing_uses_for_long_is_removed_and_the_last_one_stays(opened, place):
    kept = [put(opened, place.second, "last", 9)]
    put(opened, place.second, "older", 5)
    half = opened.trainer.folder / "half"
    half.mkdir()
    (half / "checkpoint.safetensors").touch()
    aged(half, 3)
    fetched(opened, place.second, "theirs-1", 1)
    kept.append(fetched(opened, place.second, "theirs-2", 1))
    os.utime(kept[-1])
    assert remove_unused_models(opened) == ("trained/half", "trained/older", "registry/theirs-1")
    assert all(folder.is_dir() for folder in kept)
    assert {path.name for path in opened.trainer.folder.iterdir()} == {"last"}
    assert remove_unused_models(opened) == ()


def test_what_a_seat_or_a_setting_names_stays(opened, place):
    tried = put(opened, place.second, "tried", 1)
    base = fetched(opened, place.second, "base-1", 1)
    put(opened, place.second, "last", 9)
    with quick():
        take_seat(opened, str(tried / MADE.name))
    again = place.open(training={"base": str(base)})
    assert remove_unused_models(again) == ()
    assert remove_unused_models(place.open()) == ("registry/base-1",)


def test_nothing_goes_while_a_model_is_made_or_staged(opened, place):
    put(opened, place.second, "older", 1)
    put(opened, place.second, "last", 9)
    for working in (opened.seats_file.working, opened.trainer.working):
        with working():
            assert remove_unused_models(opened) == ()
    assert remove_unused_models(opened) == ("trained/older",)


def test_the_last_one_stays_though_its_record_is_damaged(opened, place):
    put(opened, place.second, "older", 1)
    last = put(opened, place.second, "last", 8)
    (last / RECORD).write_text("{")
    aged(last, 9)
    assert remove_unused_models(opened) == ("trained/older",)


def test_what_is_about_to_be_staged_is_not_removed_before_it_has_a_seat(opened, place, monkeypatch):
    made = put(opened, place.second, "older", 1)
    put(opened, place.second, "last", 9)
    removed = []

    def beside_the_upkeep(model, precision):
        removed.extend(remove_unused_models(opened))
        return "f9"

    monkeypatch.setattr(opened, "fingerprint_of", beside_the_upkeep)
    look_at(opened, str(made / MADE.name))
    assert (removed, made.is_dir()) == ([], True)


def test_a_link_to_a_model_elsewhere_stays(opened, place, tmp_path):
    elsewhere = aged(shutil.copytree(place.second, tmp_path / "elsewhere"), 1)
    put(opened, place.second, "last", 9)
    (opened.trainer.folder / "linked").symlink_to(elsewhere)
    assert remove_unused_models(opened) == ()


def test_a_version_that_was_made_here_and_removed_is_fetched_when_it_is_wanted(opened, place):
    made = put(opened, place.second, "made", 1)
    model = opened.trainer.latest()
    with quick():
        version = opened.trainer.register(model)
    put(opened, place.second, "last", 9)
    assert remove_unused_models(opened) == ("trained/made",)
    assert not made.exists()
    with quick():
        seat = take_seat(opened, f"models:/{REGISTERED_NAME}/{version.version}").seat
    assert seat.model.startswith(str(fetched_folder(opened)))


def test_a_removal_that_fails_leaves_no_part_at_its_place(tmp_path, monkeypatch):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").touch()
    monkeypatch.setattr(shutil, "rmtree", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        remove_folder(folder)
    assert not folder.exists()
