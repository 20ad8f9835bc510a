import io
import json
import sys

import pytest
import structlog

from embedding_assets.logs import configure_logs


def fail():
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        structlog.get_logger().exception("it failed", day="2025-03-01")


def test_json_lines_go_to_standard_error_and_nothing_to_standard_output(capsys):
    configure_logs("json")
    structlog.get_logger().info("embedded", texts=3, account="🍕")
    out, err = capsys.readouterr()
    entry = json.loads(err)
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {"event": "embedded", "level": "info", "texts": 3, "account": "🍕"}
    assert out == ""


def test_lines_follow_a_standard_error_that_was_replaced(monkeypatch):
    gone, now = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", gone)
    configure_logs("json")
    gone.close()
    monkeypatch.setattr(sys, "stderr", now)
    structlog.get_logger().info("embedded")
    assert "embedded" in now.getvalue()


def test_console_lines_are_readable(capsys):
    configure_logs("console")
    structlog.get_logger().info("embedded", texts=3)
    out, err = capsys.readouterr()
    assert out == ""
    assert "embedded" in err and "texts=3" in err and not err.startswith("{")


def test_without_a_terminal_auto_is_json(capsys):
    configure_logs()
    structlog.get_logger().info("embedded")
    assert json.loads(capsys.readouterr().err)["event"] == "embedded"


def test_lines_below_the_level_are_left_out(capsys):
    configure_logs("json", "WARNING")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["loud"]


@pytest.mark.parametrize("format", ["json", "console"])
def test_an_exception_is_logged_with_its_trace_and_without_a_warning(capsys, format):
    configure_logs(format)
    fail()
    err = capsys.readouterr().err
    assert "ZeroDivisionError" in err and "it failed" in err
    if format == "json":
        assert "ZeroDivisionError" in json.loads(err)["exception"]


def test_bound_context_stands_in_each_line(capsys):
    configure_logs("json")
    with structlog.contextvars.bound_contextvars(run="r1"):
        structlog.get_logger().info("embedded")
    assert json.loads(capsys.readouterr().err)["run"] == "r1"
