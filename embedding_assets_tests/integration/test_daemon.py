import os
import signal
import subprocess
import sys
import time

from embedding_assets_tests.integration.workplace import record, write_records

_PATIENCE = 240


def test_a_running_daemon_embeds_a_new_file_by_itself(graph):
    """The sensor of a real `dagster-daemon` sees the file, its queue runs the days."""
    home = graph.folder / "dagster"
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    environment = {
        **os.environ,
        **graph.environment,
        "EMBEDDING_ASSETS_AUTOMATION__SENSOR_SECONDS": "1",
    }
    log = (graph.folder / "daemon.log").open("w")
    command = [
        sys.executable, "-m", "dagster._daemon", "run", "-m", "embedding_assets.definitions",
    ]  # fmt: skip
    daemon = subprocess.Popen(
        command, env=environment, cwd=graph.folder, stdout=log, stderr=log, start_new_session=True
    )
    try:
        write_records(graph.source / "new.parquet", [record("ada", at="2026-03-05T10:00:00Z")])
        wait_for(graph.data_dir / "assets" / "latest_account_embeddings", daemon, log.name)
    finally:
        os.killpg(daemon.pid, signal.SIGTERM)
        daemon.wait(timeout=30)
        log.close()
    [row] = graph.table("latest_account_embeddings").to_pylist()
    assert (row["account_id"], str(row["day"])) == ("ada", "2026-03-05")


def wait_for(folder, process, log):
    deadline = time.monotonic() + _PATIENCE
    while not list(folder.glob("*.parquet")):
        assert process.poll() is None and time.monotonic() < deadline, open(log).read()[-3000:]
        time.sleep(0.2)
