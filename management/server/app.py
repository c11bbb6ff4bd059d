"""The HTTP face of a node."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from management import __version__
from management.server.calls import Calls, EnvelopeError
from management.server.catalogue import describe
from management.server.node import Node
from management.server.openapi import describe_api
from management.server.schema import NewerSchemaError, schema_state
from management.server.tasks import CALLBACK_PATH

log = logging.getLogger(__name__)

MAX_BODY = 4 << 20


def make_app(node: Node) -> Starlette:
    """The application; it starts the node with itself and stops it with itself."""
    calls = Calls(node)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(node.start)
        await asyncio.to_thread(calls.start)
        yield
        await asyncio.to_thread(node.stop)
        await asyncio.to_thread(calls.stop)
        await asyncio.to_thread(node.close)

    async def api(request: Request) -> Response:
        try:
            return JSONResponse(await calls.accept(await _body(request), request.client.host if request.client else ""))
        except EnvelopeError as error:
            return PlainTextResponse(f"Error when calling {request.url.path}: {error}", 500)

    async def result(request: Request) -> Response:
        uuid = request.path_params["uuid"]
        found = await calls.result(uuid)
        if found is None:
            return PlainTextResponse(f"there is no result of a call {json.dumps(uuid)}", 404)
        return JSONResponse(found)

    async def callback(request: Request) -> Response:
        task = request.headers.get("taskuuid")
        if not task:
            return PlainTextResponse("the header taskuuid is missing", 400)
        try:
            answer = json.loads(await _body(request))
        except (ValueError, RecursionError):
            return PlainTextResponse("the body is not JSON", 400)
        if not isinstance(answer, dict) or not node.tasks.finish(task, answer):
            return PlainTextResponse(f"nobody waits for task {json.dumps(task)}", 404)
        return Response()

    async def catalogue(_request: Request) -> Response:
        return JSONResponse(describe(node.registry))

    async def openapi(_request: Request) -> Response:
        return JSONResponse(describe_api(node.registry, __version__))

    async def health(_request: Request) -> Response:
        ailment = await asyncio.to_thread(_ailment, node)
        status = {"status": "ok", "version": __version__}
        if ailment is None:
            return JSONResponse(status)
        return JSONResponse({**status, "status": "failing", "reason": ailment}, 503)

    routes = [
        Route("/healthz", health),
        Route(CALLBACK_PATH, callback, methods=["POST"]),
        Route("/zstack/api/catalogue", catalogue),
        Route("/zstack/api/openapi.json", openapi),
    ]
    for slash in ("", "/"):
        routes.append(Route(f"/zstack/api/result/{{uuid}}{slash}", result, methods=["GET", "PUT"]))
        routes.append(Route(f"/zstack/api{slash}", api, methods=["POST", "PUT"]))
    app = Starlette(routes=routes, lifespan=lifespan)
    app.router.redirect_slashes = False
    return app


async def _body(request: Request) -> bytes:
    """The whole body.

    Raises:
        HTTPException: it is too large.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"a call may have {MAX_BODY} bytes")
    return body


def _ailment(node: Node) -> str | None:
    try:
        node.database.answers()
        state = schema_state(node.database)
    except (SQLAlchemyError, NewerSchemaError) as error:
        return str(error)
    if not state.at_head:
        return f"the schema is {state.current}, not {state.head}"
    return None if node.ready else "the node is not ready"
