import pyarrow as pa
import pytest

from embedding_assets.apps.listing import listed_apps, with_unlisted
from embedding_assets.apps.slices import (
    AppFiles,
    catalogue_slice,
    performance_slice,
    reject_slices,
    summed,
    vectors_slice,
)
from embedding_assets.apps.tables import CATALOGUE_SCHEMA, PERFORMANCE_SCHEMA
from embedding_assets.errors import InputNotFoundError
from embedding_assets.storage.parquet import ParquetTable

HEAD = "app_id,clicks,impressions\n"


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "apps"
    (folder / "outcomes").mkdir(parents=True)
    (folder / "sample_apps.csv").write_text(
        "app_id,app_name,super_category,app_platform\na,Chess,Games,ios\nb,,,\n"
    )
    (folder / "historical_performance.csv").write_text(f"{HEAD}a,1,10\nb,2,x\n")
    return AppFiles(folder)


@pytest.fixture
def catalogue(tmp_path):
    return ParquetTable.at(tmp_path / "app_catalogue")


def rows(part):
    return pa.Table.from_batches(part.batches(), part.schema).to_pylist()


def counts(app_id, clicks, impressions, events=None):
    return {
        "app_id": app_id, "clicks": clicks, "impressions": impressions, "event_count": events,
        "mmp_offer_default_revenue": None,
    }  # fmt: skip


def test_outcomes_are_added_to_the_history_and_change_the_digest(files):
    before = performance_slice(files)
    assert rows(before) == [counts("a", 1, 10)]
    (files.folder / "outcomes" / "1.csv").write_text(f"{HEAD}a,4,10\nc,0,7\n")
    after = performance_slice(files)
    assert after.digest != before.digest
    assert rows(after) == [counts("a", 5, 20), counts("c", 0, 7)]
    assert (after.stats["rejected"], after.stats["rows"]) == (1, 4)


def test_equal_files_have_equal_digests_wherever_they_lie(files, tmp_path):
    before = catalogue_slice(files).digest
    files.folder.rename(tmp_path / "moved")
    assert catalogue_slice(AppFiles(tmp_path / "moved")).digest == before


def test_unknown_sums_stay_unknown():
    tables = [
        pa.Table.from_pylist(rows, PERFORMANCE_SCHEMA)
        for rows in ([counts("a", 1, 2)], [counts("a", 1, 2), counts("b", 0, 1, 3)])
    ]
    assert summed(tables).to_pylist() == [counts("a", 2, 4), counts("b", 0, 1, 3)]


def test_what_cannot_be_used_is_kept_by_file(files, catalogue):
    catalogue.write(catalogue_slice(files))
    (files.folder / "outcomes" / "1.csv").write_text(f"{HEAD}a,-1,10\nb,1,1\n")
    found = {part.key: rows(part) for part in reject_slices(files, ["v1"], catalogue)}
    assert sorted(found) == ["historical_performance.csv", "outcomes/1.csv", "sample_apps.csv"]
    assert [(each["app_id"], each["line"]) for each in found["outcomes/1.csv"]] == [("a", 2)]
    assert found["sample_apps.csv"] == []


@pytest.mark.parametrize("part", [performance_slice, catalogue_slice])
def test_a_missing_file_is_named_with_the_mend(tmp_path, part):
    with pytest.raises(InputNotFoundError, match=r"\.csv does not exist.*apps\.source"):
        part(AppFiles(tmp_path))


def test_missing_vectors_are_named(files, catalogue):
    with pytest.raises(InputNotFoundError, match=r"mock_embeddings_v9\.pkl"):
        vectors_slice(files, "v9", catalogue)


def test_apps_of_which_only_clicks_or_a_vector_are_known_are_listed_too():
    catalogue = pa.Table.from_pylist([{"app_id": "a", "app_name": "Chess"}], CATALOGUE_SCHEMA)
    performance = pa.Table.from_pylist([counts("b", 1, 10)], PERFORMANCE_SCHEMA)
    listed = with_unlisted(listed_apps(catalogue, performance), [["a", "c"], ["c", "d"]])
    assert listed["app_id"].to_pylist() == ["a", "b", "c", "d"]
    assert listed["impressions"].to_pylist() == [None, 10, None, None]
    assert listed["app_name"].to_pylist() == ["Chess", None, None, None]
