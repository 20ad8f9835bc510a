"""The ways to people: a webhook and e-mail, each with a time limit."""

import http.client
import json
import smtplib
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from embedding_assets.alerts.alert import Alert
from embedding_assets.settings import AlertSettings

_PORTS = {"starttls": 587, "ssl": 465, "none": 25}
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class NotDeliveredError(Exception):
    """A way failed. passing: whether the same may work a moment later."""

    def __init__(self, reason: str, *, passing: bool) -> None:
        super().__init__(reason)
        self.passing = passing


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST arrives as a GET without its body, or elsewhere: it is refused instead."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def post(alert: Alert, settings: AlertSettings) -> str:
    """POST the alert as JSON to the webhook; what was amiss though it arrived: nothing.

    Raises NotDeliveredError.
    """
    assert settings.webhook_url is not None
    url = settings.webhook_url.get_secret_value()
    if urlsplit(url).scheme not in ("http", "https"):
        raise NotDeliveredError("alerts.webhook_url is no http or https URL", passing=False)
    body = {
        "kind": alert.kind,
        "severity": alert.severity,
        "title": alert.title,
        "text": f"{alert.title}\n{alert.text}",
        "facts": dict(alert.facts),
        "host": socket.gethostname(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    data = json.dumps(body, ensure_ascii=False).encode()
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        request = urllib.request.Request(
            url, data, {"Content-Type": "application/json; charset=utf-8"}, method="POST"
        )
        with opener.open(request, timeout=settings.timeout_seconds):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        raise NotDeliveredError(
            f"the webhook answered {error.code}", passing=error.code in _PASSING
        ) from error
    except (http.client.InvalidURL, ValueError) as error:  # its words may hold a password
        raise NotDeliveredError("alerts.webhook_url is no usable URL", passing=False) from error
    except (OSError, http.client.HTTPException) as error:
        raise NotDeliveredError(
            f"the webhook cannot be reached: {_words(error)}", passing=True
        ) from error


def mail(alert: Alert, settings: AlertSettings) -> str:
    """Mail the alert to everybody in `email_to`; which of them did not get it, in words.

    Raises NotDeliveredError where nobody does.
    """
    host, secret = settings.smtp_host, settings.smtp_password
    if settings.smtp_user and settings.smtp_security == "none" and host not in _LOOPBACK:
        raise NotDeliveredError(
            f"a password would go to {host} in the clear: set alerts.smtp_security", passing=False
        )
    try:
        with _leaving(_connected(settings)) as server:
            if settings.smtp_user:
                server.login(settings.smtp_user, secret.get_secret_value() if secret else "")
            refused = server.send_message(_message(alert, settings))
    except smtplib.SMTPResponseException as error:
        code, said = error.smtp_code, error.smtp_error
        words = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise NotDeliveredError(
            f"{host} answered {code} {words}", passing=400 <= code < 500
        ) from error
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise NotDeliveredError(
            f"{host} refused {', '.join(error.recipients)}",
            passing=all(400 <= code < 500 for code in codes),
        ) from error
    except smtplib.SMTPNotSupportedError as error:
        raise NotDeliveredError(f"{host}: {error}", passing=False) from error
    except ssl.SSLCertVerificationError as error:
        raise NotDeliveredError(f"{host}: {_words(error)}", passing=False) from error
    except (OSError, smtplib.SMTPException) as error:
        raise NotDeliveredError(
            f"{host} cannot be reached: {_words(error)}", passing=True
        ) from error
    except (UnicodeError, ValueError) as error:
        raise NotDeliveredError(f"an address is not usable: {error}", passing=False) from error
    return f"{host} refused {', '.join(refused)}" if refused else ""


def _connected(settings: AlertSettings) -> smtplib.SMTP:
    security = settings.smtp_security
    address = (settings.smtp_host, settings.smtp_port or _PORTS[security])
    seconds = settings.timeout_seconds
    if security == "ssl":
        return smtplib.SMTP_SSL(*address, timeout=seconds, context=ssl.create_default_context())
    server = smtplib.SMTP(*address, timeout=seconds)
    try:
        if security == "starttls":
            server.starttls(context=ssl.create_default_context())
    except Exception:
        server.close()
        raise
    return server


@contextmanager
def _leaving(server: smtplib.SMTP) -> Iterator[smtplib.SMTP]:
    """The server says nothing to the farewell that counts: what it took before, it has."""
    try:
        yield server
    finally:
        with suppress(OSError, smtplib.SMTPException):
            server.putcmd("QUIT")
        server.close()


def _message(alert: Alert, settings: AlertSettings) -> EmailMessage:
    message = EmailMessage()
    host = socket.gethostname()
    message["Subject"] = f"[embedding_assets] {alert.severity}: {alert.title}"
    message["From"] = settings.email_from or f"embedding_assets@{host}"
    message["To"] = ", ".join(settings.email_to)
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid("alert", host)
    message["Auto-Submitted"] = "auto-generated"
    facts = "\n".join(f"{name}: {value}" for name, value in alert.facts.items())
    message.set_content(f"{alert.text}\n\n{facts}\n\n{alert.kind} on {host}\n")
    return message


def within(seconds: float, work: Callable[[], str]) -> str:
    """What the work gives, waiting no longer than that: what a timeout of sockets does not end (a
    name that is looked up, an answer that comes byte by byte) goes on alone.

    Raises NotDeliveredError.
    """
    done: Future[str] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except NotDeliveredError as error:
            done.set_exception(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, an alert breaks nothing
            done.set_exception(NotDeliveredError(_words(error), passing=False))

    Thread(target=run, name="alert", daemon=True).start()
    try:
        return done.result(timeout=seconds)
    except TimeoutError:
        raise NotDeliveredError(f"no answer within {seconds:g} s", passing=True) from None


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
