"""One alert by every way that is set up; nothing of it raises."""

import random
import time
from collections.abc import Callable, Collection
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
    """What came of an alert by one way; reason: why it did not arrive, or not at everybody.

    state: `told before` where the same thing was told within `alerts.quiet_minutes`, `held back`
    where too many alerts were tried within the hour.
    """

    way: Way
    state: Literal["delivered", "told before", "held back", "failed", "not set up"]
    reason: str = ""

    @property
    def is_known(self) -> bool:
        """Whether people have the news by this way, from this alert or one shortly before."""
        return self.state in ("delivered", "told before")


def send(
    alert: Alert,
    settings: AlertSettings,
    data_dir: Path | None = None,
    only: Collection[Way] | None = None,
) -> tuple[Delivery, ...]:
    """Log the alert, and deliver it by each way that is set up; what came of each way.

    Never raises. Each try has `alerts.timeout_seconds`, and there is one more where the failure
    may pass; what is not delivered is said in the log. data_dir: where it is remembered what was
    told by which way, so that by each of them the same thing is told once in
    `alerts.quiet_minutes` and at most `alerts.most_an_hour` alerts are tried; without it each alert
    is. only: the ways that are still to be tried, where others have delivered it before.
    """
    try:
        return _send(alert, settings, data_dir, only)
    except Exception as error:  # noqa: BLE001 - who raises an alert has trouble enough
        return (Delivery("log", "failed", str(error) or type(error).__name__),)


def set_up(settings: AlertSettings) -> tuple[Way, ...]:
    """The ways by which people are told; the log where there is no other."""
    return tuple(_ways(settings)) or ("log",)


def _send(
    alert: Alert, settings: AlertSettings, data_dir: Path | None, only: Collection[Way] | None
) -> tuple[Delivery, ...]:
    shown = alert.shown(_secrets(settings))
    write = getattr(_log, shown.severity)
    write("alert", kind=shown.kind, title=shown.title, text=shown.text, facts=dict(shown.facts))
    named: tuple[Way, ...] = ("webhook", "email")
    ways = _ways(settings)
    with ThreadPoolExecutor(len(named)) as threads:
        tried = {
            way: threads.submit(_by, way, shown, alert.key, settings, data_dir)
            for way in ways
            if only is None or way in only
        }
    absent = {way: Delivery(way, "not set up") for way in named if way not in ways}
    made = {way: each.result() for way, each in tried.items()} | absent
    return (Delivery("log", "delivered"), *(made[way] for way in named if way in made))


def _ways(settings: AlertSettings) -> dict[Way, _Work]:
    ways: dict[Way, _Work] = {}
    if settings.webhook_url:
        ways["webhook"] = post
    if settings.email_to:
        ways["email"] = mail
    return ways


def _by(
    way: Way, alert: Alert, key: str, settings: AlertSettings, data_dir: Path | None
) -> Delivery:
    """What comes of the alert by one way, which remembers what it has told."""
    work = _ways(settings)[way]
    if data_dir is None:
        return _deliver(way, work, alert, settings)
    memory = Memory(data_dir, way, settings.quiet_minutes * 60, settings.most_an_hour)
    verdict = memory.ask(key)
    if not verdict.due:
        _log.info("alert_held_back", way=way, title=alert.title, reason=verdict.reason)
        return Delivery(way, "told before" if verdict.told else "held back", verdict.reason)
    if verdict.held_back:
        facts = {**alert.facts, "held_back_before": verdict.held_back}
        alert = replace(alert, facts=facts)
    made = _deliver(way, work, alert, settings)
    if made.state == "delivered":
        memory.told(key)
    return made


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
