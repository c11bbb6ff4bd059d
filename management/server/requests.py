"""Every HTTP request has an id: the caller's, or a new one. The answer says it, and so does what is logged for it."""

import logging
import re
import uuid
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from management.server.logs import marked

log = logging.getLogger(__name__)

HEADER = b"x-request-id"
# What a caller may choose: nothing that could be taken for something else in a log.
_ACCEPTED = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class RequestIds:
    """Around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # The raw headers: starlette's objects around them would cost each call as much as its routing.
        given = next((value for name, value in scope["headers"] if name == HEADER), b"")
        request_id = given if _ACCEPTED.fullmatch(given) else uuid.uuid4().hex.encode()
        began, status = perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (HEADER, request_id)]
            await send(message)

        with marked(request=request_id.decode()):
            try:
                await self._app(scope, receive, answer)
            finally:
                log.debug("%s %s: %d in %.3f s", scope["method"], scope["path"], status, perf_counter() - began)
