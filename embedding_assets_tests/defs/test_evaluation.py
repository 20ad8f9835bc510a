import json

import dagster as dg
import pytest

from embedding_assets.definitions import defs
from embedding_assets.errors import SettingsError

WORDS = ("refund", "allergen", "courier", "contract", "hygiene")


def run(instance):
    job = dg.define_asset_job("judge", dg.AssetSelection.assets("search_evaluation"))
    resolved = dg.Definitions(
        assets=defs.assets, asset_checks=defs.asset_checks, jobs=[job], resources=defs.resources
    ).resolve_job_def("judge")
    return resolved.execute_in_process(instance=instance)


@pytest.fixture
def labelled(inside, monkeypatch):
    folder = inside.folder / "labelled"
    folder.mkdir()
    documents = [{"_id": f"d{i}", "title": "", "text": word * 2} for i, word in enumerate(WORDS)]
    documents += [{"_id": f"w{i}", "title": word, "text": word} for i, word in enumerate(WORDS)]
    queries = [{"_id": f"q{i}", "text": word} for i, word in enumerate(WORDS)]
    for name, rows in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    judgements = "".join(f"q{i}\tw{i}\t1\n" for i in range(len(WORDS)))
    (folder / "qrels.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judgements}")
    monkeypatch.setenv("EMBEDDING_ASSETS_SEARCH__EVALUATION", str(folder))
    return inside


def test_each_mode_is_judged_and_stored(labelled, instance):
    result = run(instance)
    found = dict(
        labelled.warehouse("SELECT mode, mean FROM search_evaluation WHERE metric = 'ndcg@10'")
    )
    assert set(found) == {"keyword", "semantic", "hybrid"}
    assert found["keyword"] == 1.0
    [check] = result.get_asset_check_evaluations()
    assert check.check_name == "search_evaluation_hybrid_not_worse"
    metadata = instance.get_latest_materialization_event(
        dg.AssetKey("search_evaluation")
    ).asset_materialization.metadata
    assert "image/png" in metadata["picture"].value


def test_without_labelled_queries_the_mend_is_named(inside, instance):
    with pytest.raises(SettingsError, match="search.evaluation"):
        run(instance)
