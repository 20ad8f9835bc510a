import json
import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest
from typer.testing import CliRunner

from embedding_assets.cli import app
from embedding_assets_tests.alerts.inboxes import mail_server, webhook_server

_MAIN = "from embedding_assets.cli import main; main()"


@pytest.fixture
def run(no_environment):
    """Runs a command in an empty folder: its result."""
    return lambda *words: CliRunner().invoke(app, words, catch_exceptions=False)


def test_a_test_alert_goes_every_way_that_is_set_up(run, monkeypatch):
    with mail_server() as box, webhook_server() as hook:
        monkeypatch.setenv("EMBEDDING_ASSETS_ALERTS__WEBHOOK_URL", hook.url)
        monkeypatch.setenv("EMBEDDING_ASSETS_ALERTS__EMAIL_TO", '["a@x.org"]')
        monkeypatch.setenv("EMBEDDING_ASSETS_ALERTS__SMTP_HOST", "127.0.0.1")
        monkeypatch.setenv("EMBEDDING_ASSETS_ALERTS__SMTP_PORT", str(box.port))
        monkeypatch.setenv("EMBEDDING_ASSETS_ALERTS__SMTP_SECURITY", "none")
        done = run("alerts", "test")
        assert done.exit_code == 0
        assert done.stdout.splitlines() == [
            "log     delivered", "webhook delivered", "email   delivered",
        ]  # fmt: skip
        assert [each["kind"] for each in hook.received] == ["test"]
        assert box.messages[0]["Subject"] == "[embedding_assets] info: This is a test"


def test_a_way_that_fails_is_named_and_the_exit_code_says_so(run, monkeypatch):
    monkeypatch.setattr("embedding_assets.alerts.sending._PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("EMBEDDING_ASSETS_ALERTS__WEBHOOK_URL", "http://127.0.0.1:9/T0P/S3CR3T")
    done = run("alerts", "test", "--json")
    assert done.exit_code == 1
    log, webhook, email = json.loads(done.stdout)
    assert webhook["state"] == "failed" and "cannot be reached" in webhook["reason"]
    assert email["state"] == "not set up" and log["state"] == "delivered"
    assert "S3CR3T" not in done.stdout + done.stderr


def test_settings_show_neither_password_nor_webhook(run, monkeypatch):
    monkeypatch.setenv("EMBEDDING_ASSETS_ALERTS__WEBHOOK_URL", "http://x/S3CR3T")
    monkeypatch.setenv("EMBEDDING_ASSETS_ALERTS__SMTP_PASSWORD", "S3CR3T")
    for words in (("settings",), ("settings", "--json")):
        assert "S3CR3T" not in run(*words).stdout


def test_metrics_are_printed_or_written_to_a_file(run, tmp_path):
    printed = run("metrics").stdout
    assert 'embedding_assets_asset_rows{asset="account_embeddings"} 0.0' in printed
    assert run("metrics", "--textfile", "all.prom").exit_code == 0
    assert (
        'embedding_assets_asset_rows{asset="doc_vectors"} 0.0'
        in (tmp_path / "all.prom").read_text()
    )
    assert run("metrics", "--textfile", "all.prom", "--port", "1").exit_code == 2


def test_metrics_are_served_until_the_command_is_ended(no_environment, tmp_path):
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = subprocess.Popen(
        [sys.executable, "-c", _MAIN, "metrics", "--port", str(port)],
        stderr=subprocess.PIPE, text=True, cwd=tmp_path, env={**os.environ},
    )  # fmt: skip
    try:
        while "http://" not in (line := served.stderr.readline()):
            assert line, served.wait()
        with urllib.request.urlopen(re.search(r"http://\S+", line)[0]) as answer:
            assert b"embedding_assets_disk_free_bytes" in answer.read()
    finally:
        served.send_signal(signal.SIGTERM)
        assert served.wait() == 0
        served.stderr.close()
