"""One alert by every way that is set up; nothing of it raises."""

import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote

import structlog

from embedding_assets.alerts.alert import Alert
from embedding_assets.alerts.delivery import NotDeliveredError, mail, post, within
from embedding_assets.alerts.memory import Memory
from embedding_assets.settings import AlertSettings

Way = Literal["log", "webhook", "email"]
_Work = Callable[[Alert, AlertSettings], str]
_PAUSE_SECONDS = 1.0
_log = structlog.get_logger()


@dataclass(frozen=True)
class Delivery:
    """What came of an alert by one way; reason: why it did not arrive, or not at everybody."""

    way: Way
    state: Literal["delivered", "held back", "failed", "not set up"]
    reason: str = ""


def send(
    alert: Alert, settings: AlertSettings, data_dir: Path | None = None
) -> tuple[Delivery, ...]:
    """Log the alert, and deliver it by each way that is set up; what came of each way.

    Never raises. Each try has `alerts.timeout_seconds`, and there is one more where the failure
    may pass; what is not delivered is said in the log. data_dir: where it is remembered what was
    told, so that the same thing is told once in `alerts.quiet_minutes` and at most
    `alerts.most_an_hour` alerts are tried; without it each alert is.
    """
    try:
        return _send(alert, settings, data_dir)
    except Exception as error:  # noqa: BLE001 - who raises an alert has trouble enough
        return (Delivery("log", "failed", str(error) or type(error).__name__),)


def _send(alert: Alert, settings: AlertSettings, data_dir: Path | None) -> tuple[Delivery, ...]:
    shown = alert.shown(_secrets(settings))
    write = getattr(_log, shown.severity)
    write("alert", kind=shown.kind, title=shown.title, text=shown.text, facts=dict(shown.facts))
    ways = _ways(settings)
    memory = None
    if ways and data_dir is not None:
        memory = Memory(data_dir, settings.quiet_minutes * 60, settings.most_an_hour)
        verdict = memory.ask(alert.key)
        if not verdict.due:
            _log.info("alert_held_back", title=shown.title, reason=verdict.reason)
            return _results({way: Delivery(way, "held back", verdict.reason) for way in ways})
        if verdict.held_back:
            more = {"held_back_before": verdict.held_back}
            shown = replace(shown, facts={**shown.facts, **more})
    with ThreadPoolExecutor(max(1, len(ways))) as threads:
        tried = {w: threads.submit(_deliver, w, work, shown, settings) for w, work in ways.items()}
    made = {way: each.result() for way, each in tried.items()}
    if memory and any(each.state == "delivered" for each in made.values()):
        memory.told(alert.key)
    return _results(made)


def _ways(settings: AlertSettings) -> dict[Way, _Work]:
    ways: dict[Way, _Work] = {}
    if settings.webhook_url:
        ways["webhook"] = post
    if settings.email_to:
        ways["email"] = mail
    return ways


def _results(made: Mapping[Way, Delivery]) -> tuple[Delivery, ...]:
    named: tuple[Way, ...] = ("webhook", "email")
    rest = (made.get(way, Delivery(way, "not set up")) for way in named)
    return (Delivery("log", "delivered"), *rest)


def _deliver(way: Way, work: _Work, alert: Alert, settings: AlertSettings) -> Delivery:
    for last in (False, True):
        try:
            amiss = within(settings.timeout_seconds, partial(work, alert, settings))
            if amiss:
                _log.error("alert_not_to_all", way=way, title=alert.title, reason=amiss)
            return Delivery(way, "delivered", amiss)
        except NotDeliveredError as error:
            if not error.passing or last:
                reason = Alert("", "", str(error)).shown(_secrets(settings)).text
                _log.error("alert_not_delivered", way=way, title=alert.title, reason=reason)
                return Delivery(way, "failed", reason)
            time.sleep(random.uniform(0.5, 1.5) * _PAUSE_SECONDS)
    raise AssertionError("the last try returns")


def _secrets(settings: AlertSettings) -> list[str]:
    """The webhook's URL and its parts, which may be named alone, and the mail password."""
    found = [settings.smtp_password.get_secret_value()] if settings.smtp_password else []
    if settings.webhook_url:
        url = settings.webhook_url.get_secret_value()
        host, _, path = url.partition("://")[2].partition("/")
        user = host.rpartition("@")[0]
        path, _, query = path.partition("?")
        parts = [user, user.partition(":")[2], path if len(path) > 7 else "", query]
        found += [url, *parts, *map(unquote, parts), *(value for _, value in parse_qsl(query))]
    return found
