"""Which names the service goes by, and from which pages it may be called."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from embedding_assets.api.problems import RequestError, error_response

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Origin:
    """Refuses requests to another host name, so that no foreign name that is made to point here
    reaches the service (DNS rebinding), and changes that a foreign page asks for."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...], origins: tuple[str, ...]) -> None:
        """hosts: names without port; `*` allows all. origins: foreign pages that may call."""
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await error_response(refusal, scope)(scope, receive, send)

    def _refusal(self, scope: Scope) -> RequestError | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if "*" not in self._hosts and host_name(host) not in self._hosts:
            return RequestError(
                "The service does not go by the host name of this request.",
                "Use one of the names in the setting service.hosts, or add this one to it.",
                421,
            )
        if scope["method"] not in _SAFE and self._is_foreign(headers, host):
            return RequestError(
                "A page of another origin may not call this.",
                "Add its origin to the setting service.cors_origins if it is to be trusted.",
                403,
            )
        return None

    def _is_foreign(self, headers: Headers, host: str) -> bool:
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if origin in self._origins or "*" in self._origins:
            return False
        return _authority(origin) != host.lower()


def host_name(host: str) -> str:
    """The name in a Host header: without its port, IPv6 addresses in their brackets."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
