"""Who calls: the key of a request, what it may do and how often, as FastAPI dependencies."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.requests import HTTPConnection

from embedding_assets.api.keys import SCOPES, Key, refused
from embedding_assets.api.problems import RequestError
from embedding_assets.api.service import Service

ANONYMOUS = "anonymous"
_HOW = "Send it in the header `Authorization: Bearer KEY` or `X-API-Key: KEY`."
_CREATE = "Create one with `embedding-assets keys create NAME`."
_IN_URL = re.compile(r"(?i)(?:^|&)(?:api[-_]?key|key|token|access_token)=|\bea_[\w-]{43}")
_BEARER = HTTPBearer(auto_error=False, description="An API key.")
_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False, description="An API key.")
# They read nothing: they tell the description where keys go.
_Bearer = Annotated[Any, Depends(_BEARER)]
_Header = Annotated[Any, Depends(_HEADER)]


@dataclass(frozen=True)
class Caller:
    """Who sent a request. key_id: `anonymous` where no key is needed."""

    key_id: str
    scopes: frozenset[str]


def service_of(request: Request) -> Service:
    """What this application serves."""
    service: Service = request.app.state.service
    return service


def request_id_of(request: Request) -> str:
    """The id under which this request is found in the log."""
    return str(request.state.request_id)


def scope(name: str) -> Any:
    """A dependency that lets only callers with this scope (or `admin`) pass, counts the request
    and gives the `Caller`: `dependencies=[scope("search")]`, or `Annotated[Caller, scope(...)]`.
    """
    if name not in SCOPES:
        raise ValueError(f"{name!r} is no scope; there are {', '.join(SCOPES)}")

    async def caller(request: Request, _bearer: _Bearer, _header: _Header) -> Caller:
        return await admit(request, name)

    return Depends(caller)


async def admit(request: Request, name: str) -> Caller:
    """The caller of a request to something of that scope, the request counted.

    Raises RequestError: 401 without a valid key, 403 without the scope, 429 above a limit.
    """
    service = service_of(request)
    key = await _key_of(request, service)
    request.state.key_id = key.id if key else ANONYMOUS
    if key and not {name, "admin"} & key.scopes:
        raise RequestError(
            f"The key {key.id} has not the scope {name}.",
            f"Use a key with it: `embedding-assets keys create NAME --scope {name}`.",
            403,
        )
    settings = service.settings.service
    per_minute = (key and key.per_minute) or settings.requests_per_minute
    per_day = (key and key.per_day) or settings.requests_per_day
    use = await service.limits.count(request.state.key_id, per_minute, per_day if key else None)
    request.state.headers.update(use.headers)
    if use.refusal:
        service.metrics.limited(use.span or "")
        raise RequestError(use.refusal, use.mend, 429, use.headers)
    return Caller(request.state.key_id, key.scopes if key else frozenset({"admin"}))


def key_needed() -> RequestError:
    """The answer to a request without a key to something that needs one."""
    return refused("This needs an API key.", f"{_HOW} {_CREATE}")


def is_shut(connection: HTTPConnection) -> bool:
    """Whether it is known without asking the database that a request needs a key."""
    service: Service = connection.scope["app"].state.service
    policy = service.settings.service.keys
    is_near = service.is_loopback and _is_near(connection)
    return policy == "always" or (
        policy == "auto" and (not is_near or service.keys.are_known_to_exist)
    )


def sends_key(connection: HTTPConnection) -> bool:
    """Whether a request has something that may be a key."""
    return "x-api-key" in connection.headers or "authorization" in connection.headers


async def _key_of(request: Request, service: Service) -> Key | None:
    """The valid key of a request; None where none is sent and none is needed."""
    secret = _secret_of(request)
    if secret is not None:
        return await _found(request, service, secret)
    policy = service.settings.service.keys
    is_open = policy == "never" or (
        policy == "auto"
        and service.is_loopback
        and _is_near(request)
        and not await service.keys.any_exist()
    )
    if is_open:
        return None
    raise key_needed()


async def _found(request: Request, service: Service, secret: str) -> Key:
    """The key with that secret. Who was known a moment ago is not kept out by others who send
    wrong keys from the same address."""
    if service.keys.knows(secret):
        return await service.keys.find(secret)
    try:
        with service.strangers.looking_up(request.client.host if request.client else None):
            return await service.keys.find(secret)
    except RequestError as error:
        if error.status == 429:
            service.metrics.limited("address")
        raise


def _secret_of(request: Request) -> str | None:
    if _IN_URL.search(request.url.query):
        raise refused(
            "A key was sent in the URL, where logs and histories keep it: it is not accepted.",
            f"{_HOW} Revoke that key if it is a real one: `embedding-assets keys revoke ID`.",
        )
    header = request.headers.get("x-api-key")
    if header is not None:  # a proxy in front may need the other header for itself
        return header.strip()
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if not kind:
        return None
    if kind.lower() != "bearer" or not token.strip():
        raise refused("The Authorization header holds no bearer token.", _HOW)
    return token.strip()


def _is_near(request: HTTPConnection) -> bool:
    """Whether the connection comes from this machine."""
    try:
        address = ipaddress.ip_address(request.client.host) if request.client else None
    except ValueError:  # no address: a socket of this machine, or a test
        return True
    return address is None or address.is_loopback
