import pytest
from typer.testing import CliRunner

from embedding_assets.api.keys import KeyStore, NewKey
from embedding_assets.api.service import open_service_engine
from embedding_assets.cli.serve import app
from embedding_assets.settings import load_settings


@pytest.fixture
def run(no_environment, monkeypatch):
    """Runs the command up to the point where it would answer; its result and what it would do."""
    calls = []
    monkeypatch.setattr("embedding_assets.api.serve.serve", lambda *all_: calls.append(all_))

    def run_it(*words):
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        for _, listener, _, _ in calls:
            listener.close()
        return result, calls

    return run_it


def test_it_says_where_it_answers(run):
    result, [(_, _, address, workers)] = run("--port", "0", "--workers", "3")
    assert f"Serving on http://127.0.0.1:{address.port}" in result.stdout
    assert address.port > 0
    assert workers == 3
    assert result.stderr == ""


def test_whoever_opens_it_to_others_is_told_that_keys_are_needed(run):
    result, _ = run("--host", "0.0.0.0", "--port", "0")
    assert "embedding-assets keys create NAME" in result.stderr
    assert "EMBEDDING_ASSETS_SERVICE__HOSTS" in result.stderr


def test_whoever_has_a_key_is_not_told(run, monkeypatch):
    monkeypatch.setenv("EMBEDDING_ASSETS_SERVICE__HOSTS", '["*"]')
    engine = open_service_engine(load_settings())
    KeyStore(lambda: engine).create(NewKey("a", frozenset({"search"})))
    engine.dispose()
    result, _ = run("--host", "0.0.0.0", "--port", "0")
    assert result.stderr == ""


def test_whoever_starts_it_while_the_database_is_gone_is_told(run):
    open_service_engine(load_settings()).dispose()
    (load_settings().data_dir / "service.db").unlink()
    result, [_] = run("--host", "0.0.0.0", "--port", "0")
    assert "is gone. Until it does, requests are refused." in result.stderr


def test_whoever_needs_no_keys_is_told_what_that_means(run, monkeypatch):
    monkeypatch.setenv("EMBEDDING_ASSETS_SERVICE__KEYS", "never")
    result, _ = run("--host", "0.0.0.0", "--port", "0")
    assert "whoever reaches this address may use it" in result.stderr


@pytest.mark.parametrize("words", [["--port", "65536"], ["--workers", "0"], ["--port", "x"]])
def test_wrong_use_is_refused(run, words):
    result, calls = run(*words)
    assert result.exit_code == 2
    assert calls == []
