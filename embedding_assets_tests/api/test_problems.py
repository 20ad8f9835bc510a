import pickle

import pytest

from embedding_assets.api.problems import (
    OverloadedError,
    RequestError,
    problem_of,
    status_of,
)
from embedding_assets.database import DatabaseUnavailableError
from embedding_assets.errors import (
    EmbeddingAssetsError,
    ModelChangedError,
    NotFoundError,
    SettingsError,
    StoreLockedError,
)
from embedding_assets.search.filters import FilterError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFoundError("a", "b"), 404),
        (FilterError("a", "b"), 422),
        (StoreLockedError("a", "b"), 503),
        (DatabaseUnavailableError("a", "b"), 503),
        (ModelChangedError("a", "b"), 503),
        (SettingsError("a", "b"), 503),
        (RequestError("a", "b", 415), 415),
        (OverloadedError("a"), 503),
        (EmbeddingAssetsError("a", "b"), 500),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_a_named_error_has_the_status_of_its_class(error, status):
    assert status_of(error) == status


def test_a_problem_says_what_is_wrong_and_how_to_mend_it():
    assert problem_of(NotFoundError("No app APP_0.", "Check the id."), "0123456789") == {
        "type": "urn:embedding-assets:problem:not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "No app APP_0.",
        "mend": "Check the id.",
        "request_id": "0123456789",
    }


def test_a_problem_names_no_folder_of_the_machine():
    problem = problem_of(StoreLockedError("'/srv/a b/x.db' is held.", "See /srv/a b/y.log."), "1")
    assert (problem["detail"], problem["mend"]) == ("'x.db' is held.", "See y.log.")


@pytest.mark.parametrize("error", [RequestError("a", "b", 415, {"X": "y"}), OverloadedError("a")])
def test_errors_travel_whole_between_processes(error):
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.status, copy.headers) == (str(error), error.status, error.headers)
