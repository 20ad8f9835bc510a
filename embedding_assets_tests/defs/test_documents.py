import json
import os

import dagster as dg
import pytest

from embedding_assets.definitions import defs
from embedding_assets.defs.document_automation import (
    backfill_documents,
    daily_documents,
    document_files_changed,
    request_for,
)
from embedding_assets.defs.resources import WorkspaceResource, configured_workspace
from embedding_assets.documents import inventory
from embedding_assets.library import Work

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
ASSETS = ("documents", "doc_chunks", "doc_vectors")


def put(place, name, *paragraphs):
    path = place.documents / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"title": f"About {name}", "body": [*paragraphs]}))
    return path


def work(keys, present, deleted=(), index_is_stale=False):
    return Work(frozenset(keys), frozenset(present), frozenset(deleted), index_is_stale)


class Watch:
    """The sensor over time: its cursor, the partitions that it keeps, the runs it asked for."""

    def __init__(self, instance):
        self.instance = instance
        self.cursor = None

    def look(self):
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            definitions=defs,
            resources={"workspace": WorkspaceResource()},
        )
        return document_files_changed(context)

    def act(self):
        """Do what one look asks for; the requested runs."""
        found = self.look()
        if isinstance(found, dg.SkipReason):
            return []
        self.cursor = found.cursor or self.cursor
        for change in found.dynamic_partitions_requests or []:
            if isinstance(change, dg.AddDynamicPartitionsRequest):
                self.instance.add_dynamic_partitions("doc_id", list(change.partition_keys))
            else:
                for key in change.partition_keys:
                    self.instance.delete_dynamic_partition("doc_id", key)
        for run in found.run_requests or []:
            assert self.run(run.job_name, run.tags).success
        return found.run_requests or []

    def run(self, job, tags):
        return defs.resolve_job_def(job).execute_in_process(instance=self.instance, tags=tags)

    @property
    def keys(self):
        return self.instance.get_dynamic_partitions("doc_id")


@pytest.fixture
def watch(inside, instance):
    return Watch(instance)


def covered(watch, run):
    keys = watch.keys
    return keys[keys.index(run.tags[START]) : keys.index(run.tags[END]) + 1]


def stamps(place):
    folder = place.data_dir / "assets"
    return {
        f"{asset}/{path.name}": path.stat().st_mtime_ns
        for asset in ASSETS
        for path in (folder / asset).glob("*.parquet")
    }


def found(query, **options):
    return [hit.doc_id for hit in configured_workspace().library.search.search(query, **options)]


def test_new_files_become_searchable_in_one_run(inside, watch):
    for number in range(20):
        put(inside, f"{number}.json", f"Passage about subject{number} alone.")
    [run] = watch.act()
    assert len(covered(watch, run)) == 20
    assert found("subject7", mode="keyword") == ["7.json"]
    assert watch.act() == []


def test_a_changed_file_is_read_alone_wherever_it_stands(inside, watch):
    for number in range(6):
        put(inside, f"{number}.json", f"Passage {number}.")
    watch.act()
    before = stamps(inside)
    put(inside, "1.json", "Something about walruses.")
    put(inside, "4.json", "Something about penguins.")
    [run] = watch.act()
    assert sorted(covered(watch, run)) == ["1.json", "4.json"]
    after = stamps(inside)
    changed = {name.split("/")[1] for name in after if after[name] != before[name]}
    assert changed == {"1.json.parquet", "4.json.parquet"}
    assert sorted(watch.keys) == [f"{number}.json" for number in range(6)]
    assert found("walruses", mode="keyword") == ["1.json"]


def test_a_deleted_file_disappears_everywhere(inside, watch):
    put(inside, "kept.json", "Kept words.")
    path = put(inside, "gone.json", "Secret words.")
    watch.act()
    path.unlink()
    [run] = watch.act()
    assert run.job_name == "document_cleanup"
    assert watch.keys == ["kept.json"]
    assert found("secret", mode="keyword") == []
    assert not [name for name in stamps(inside) if "gone" in name]
    assert inside.warehouse("SELECT doc_id FROM doc_chunks") == [("kept.json",)]


def test_a_touched_file_asks_for_nothing(inside, watch):
    path = put(inside, "a.json", "Same.")
    watch.act()
    os.utime(path, ns=(1, 1))
    assert watch.act() == []
    assert watch.act() == []


def test_nothing_changes_while_a_run_is_queued(inside, watch):
    put(inside, "a.json", "Same.")
    watch.instance.create_run_for_job(
        defs.resolve_job_def("documents"), status=dg.DagsterRunStatus.STARTED
    )
    assert "queued or running" in watch.look().skip_message
    assert watch.keys == []


def test_a_file_that_is_still_written_waits_and_the_others_go_on(inside, watch, monkeypatch):
    put(inside, "done.json", "Done.")
    put(inside, "slow.json", "Half")
    settled = inventory._Look._is_settled

    def is_settled(look, file, **known):
        return file.path != "slow.json" and settled(look, file, **known)

    with monkeypatch.context() as patch:
        patch.setattr(inventory._Look, "_is_settled", is_settled)
        [run] = watch.act()
    assert covered(watch, run) == ["done.json"]
    [run] = watch.act()
    assert covered(watch, run) == ["slow.json"]


def test_a_bad_file_is_quarantined_and_the_others_go_on(inside, watch):
    put(inside, "good.json", "Good words.")
    bad = put(inside, "bad.json")
    bad.write_text('{"body": [')
    watch.act()
    assert found("good", mode="keyword") == ["good.json"]
    rows = inside.warehouse('SELECT doc_id, kind, "class" FROM quarantined_documents')
    assert rows == [("bad.json", "damaged", "permanent")]
    of_bad = dg.AssetRecordsFilter(
        dg.AssetKey("quarantined_documents"), asset_partitions=["bad.json"]
    )
    [record] = watch.instance.fetch_materializations(of_bad, limit=1).records
    told = record.asset_materialization.metadata
    assert told["class"].value == "permanent" and "of" not in told
    put(inside, "bad.json", "Mended words.")
    watch.act()
    assert found("mended", mode="keyword") == ["bad.json"]
    assert inside.warehouse("SELECT doc_id FROM quarantined_documents") == []


def test_a_file_that_breaks_keeps_its_last_good_version_served(inside, watch):
    path = put(inside, "a.json", "Good words.")
    watch.act()
    path.write_text("{")
    watch.act()
    assert found("good", mode="keyword") == ["a.json"]
    assert inside.warehouse("SELECT doc_id FROM quarantined_documents") == [("a.json",)]


def test_only_changed_chunks_are_embedded_again(inside, watch):
    words = [" ".join(f"word{number}n{i}" for i in range(60)) for number in range(4)]
    put(inside, "a.json", *words)
    watch.act()
    footer = configured_workspace().table("doc_vectors").footer("a.json")
    first = footer.stats["computed"]
    put(inside, "a.json", *words[:3], "Another end.")
    watch.act()
    footer = configured_workspace().table("doc_vectors").footer("a.json")
    assert first >= 3
    assert footer.stats["computed"] < first
    assert footer.stats["reused"] >= 1


def test_the_hourly_look_asks_for_what_a_failed_run_left(inside, watch):
    for number in range(3):
        put(inside, f"{number}.json", f"Passage {number}.")
    watch.act()
    configured_workspace().table("doc_vectors").remove("1.json")
    context = dg.build_schedule_context(
        instance=watch.instance, resources={"workspace": WorkspaceResource()}
    )
    run = backfill_documents(context)
    assert covered(watch, run) == ["1.json"]
    assert watch.run(run.job_name, run.tags).success
    assert isinstance(backfill_documents(context), dg.SkipReason)


def test_each_night_the_index_is_found_as_it_should_be(inside, watch):
    context = dg.build_schedule_context(
        instance=watch.instance, resources={"workspace": WorkspaceResource()}
    )
    assert daily_documents(context).skip_message == "No document was ever read."
    put(inside, "1.json", "Passage.")
    watch.act()
    before = configured_workspace().library.served_version()
    assert isinstance(daily_documents(context), dg.RunRequest)
    done = watch.run("document_cleanup", {})
    [made] = done.asset_materializations_for_node("document_index")
    assert made.metadata["unchanged"].value is True
    assert configured_workspace().library.served_version() == before
    (inside.documents / "1.json").unlink()
    assert "is empty" in daily_documents(context).skip_message  # a mount may be lost


def test_new_keys_stand_at_the_end():
    request = request_for(work({"c", "d"}, {"a", "b", "c", "d"}), ["a", "b"])
    assert (request.add, request.delete) == (["c", "d"], [])
    assert request.tags == {START: "c", END: "d"}


def test_neighbours_are_run_where_they_stand():
    request = request_for(work({"b", "c"}, {"a", "b", "c", "d"}), ["a", "b", "c", "d"])
    assert (request.add, request.delete) == ([], [])
    assert request.tags == {START: "b", END: "c"}


def test_scattered_keys_are_gathered_at_the_end():
    request = request_for(work({"a", "c", "e"}, {*"abcde"}), ["a", "b", "c", "d"])
    assert (request.add, request.delete) == (["a", "c", "e"], ["a", "c"])
    assert request.tags == {START: "a", END: "e"}


def test_keys_without_a_document_go():
    request = request_for(work((), {"a"}, {"b"}), ["a", "b"])
    assert (request.job, request.add, request.delete) == ("document_cleanup", [], ["b"])


def test_documents_that_are_fresh_but_not_registered_are_registered_without_a_run():
    request = request_for(work((), {"a", "b"}), ["a"])
    assert (request.job, request.add) == (None, ["b"])
