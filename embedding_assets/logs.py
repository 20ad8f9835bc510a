"""Structured logs on standard error: readable lines on a terminal, JSON elsewhere."""

import logging
import sys
from typing import Any, Literal

import structlog


def configure_logs(
    format: Literal["auto", "console", "json"] = "auto", level: str = "INFO"
) -> None:
    """Set up logging of this process once; results never go to the same stream as logs."""
    console = format == "console" or (format == "auto" and sys.stderr.isatty())
    rendered: list[Any] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *rendered,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=_logger,
    )


def _logger(*_: object) -> structlog.PrintLogger:
    """Standard error as it is now: whoever captures it may replace and close it."""
    return structlog.PrintLogger(sys.stderr)
