"""What stands before every route: who may ask, from where, how much, and what a page may load."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kineograph.apps.service.asking import Wrong

LOCKED = ("/v1/", "/metrics", "/openapi.json")
"""How paths begin that need a key, where there are any. The studio's own files tell nothing."""

_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


@dataclass(frozen=True)
class Guarded:
    """Who may ask and how much."""

    hosts: Collection[str]
    """Values of the Host header that are ours; others may come from a name that was bent to this
    address (DNS rebinding)."""
    keys: Collection[str] = field(default=(), repr=False)
    """Any of these opens; without them everybody may ask."""
    body_bytes: int = 1 << 18
    """Of a request."""
    body_seconds: float = 20.0
    """In which it must have come."""


class Guard:
    """ASGI middleware: asks before the routes do, and answers in their place where it must."""

    def __init__(self, app: ASGIApp, guarded: Guarded) -> None:
        self.app, self.guarded = app, guarded
        self.hosts = {host.lower() for host in guarded.hosts}
        self.keys = [_digest(key) for key in guarded.keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As the routes are called."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(scope["path"], Headers(scope=scope))
            await self.app(scope, self._limited(receive), answer)
        except Wrong as error:
            if begun:
                raise
            await refuse(error, answer)

    def _check(self, path: str, headers: Headers) -> None:
        host = headers.get("host", "").lower()
        if host not in self.hosts:
            raise Wrong(
                "This host is not served here.",
                "Start the service with --name HOST for each name by which it is called.",
                code="wrong_host",
                status=421,
            )
        origin = headers.get("origin")
        others = headers.get("sec-fetch-site") in ("cross-site", "same-site")  # an <img>, say
        if (origin is not None and origin.partition("://")[2].lower() != host) or (
            others and path.startswith(LOCKED)
        ):
            raise Wrong("Pages of other origins may not ask.", code="wrong_origin", status=403)
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            raise Wrong("Content-Length is no number.", code="bad_request", status=400)
        if int(length[:20]) > self.guarded.body_bytes:
            raise self._too_large()
        if self.keys and path.startswith(LOCKED) and not self._opens(headers):
            raise Wrong(
                "An API key is needed.",
                "Send it as: Authorization: Bearer KEY.",
                code="invalid_api_key",
                status=401,
            )

    def _opens(self, headers: Headers) -> bool:
        """Each key is compared in full, whether or not one before fitted."""
        kind, _, key = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return False
        told = _digest(key.strip())
        return sum(hmac.compare_digest(told, known) for known in self.keys) > 0

    def _limited(self, receive: Receive) -> Receive:
        """The body, which is counted and has to come in time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.guarded.body_seconds
        taken, whole = 0, False

        async def limited() -> Message:
            nonlocal taken, whole
            if whole:  # what comes now is that the client has gone
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(until - loop.time(), 0.001))
            except TimeoutError:
                raise Wrong("The body came too slowly.", code="timeout", status=408) from None
            taken += len(message.get("body", b""))
            if taken > self.guarded.body_bytes:
                raise self._too_large()
            whole = not message.get("more_body", False)
            return message

        return limited

    def _too_large(self) -> Wrong:
        return Wrong(
            f"A request may have {self.guarded.body_bytes:,} bytes.",
            code="too_large",
            status=413,
        )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def error_body(error: Wrong) -> dict[str, Any]:
    """As OpenAI's clients read it."""
    kinds = {401: "authentication_error", 429: "rate_limit_error"}
    usual = "server_error" if error.status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": str(error),
            "type": kinds.get(error.status, usual),
            "param": error.param,
            "code": error.code,
        }
    }


async def refuse(error: Wrong, send: Send) -> None:
    """Answer with an error, before any route has."""
    body = json.dumps(error_body(error)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if error.status in (408, 413):  # the rest of the body is not read
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
