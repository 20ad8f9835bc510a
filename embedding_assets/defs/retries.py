"""Work that is tried again where what ended it may pass by itself, and only there."""

import functools
import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from embedding_assets.errors import is_transient
from embedding_assets.settings import load_settings

_LONGEST_SECONDS = 600.0
RETRIED = "is_retried"
"""Marks functions of assets; `test_retries` looks that each asset's has it."""


def retried(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of an asset, begun anew when it fails for a reason that may pass.

    To stand below `@dg.asset`; the assets of `policy` and what IO managers write have it by
    themselves. Begun anew, an asset keeps what it had finished: equal digests are not computed.
    """

    @functools.wraps(function)
    def returning(*arguments: Any, **named: Any) -> Any:
        with transient_retried():
            return function(*arguments, **named)

    @functools.wraps(function)
    def yielding(*arguments: Any, **named: Any) -> Iterator[Any]:
        with transient_retried():
            yield from function(*arguments, **named)

    wrapped = yielding if inspect.isgeneratorfunction(function) else returning
    setattr(wrapped, RETRIED, True)
    return wrapped


@contextmanager
def transient_retried() -> Iterator[None]:
    """Ask for another try of the step when the block fails for a reason that may pass; the last
    of them, and every other failure, ends it with its own error."""
    try:
        yield
    except (dg.RetryRequested, dg.Failure):
        raise
    except Exception as error:
        attempt = _attempt()
        settings = load_settings().automation
        if attempt is None or attempt >= settings.retries or not is_transient(error):
            raise
        seconds = wait_seconds(attempt, settings.retry_seconds)
        dg.get_dagster_logger().warning(
            f"Try {attempt + 1} failed for a reason that may pass; the next in {seconds:.0f} s "
            f"({type(error).__name__}: {error})"
        )
        raise dg.RetryRequested(settings.retries, seconds) from error


def wait_seconds(attempt: int, first: float) -> float:
    """How long to wait before the try after number `attempt` (from 0): each time twice as long,
    and by chance up to a half shorter, so that runs which failed together do not return so."""
    return float(min(first * 2**attempt, _LONGEST_SECONDS) * random.uniform(0.5, 1.0))


def _attempt() -> int | None:
    """The number of this try of the step, from 0; None outside of a run."""
    from dagster._core.execution.context.compute import current_execution_context

    context = current_execution_context.get()
    return None if context is None else int(context.retry_number)
