"""From an envelope to an answer: session, checks, handler, and the life of asynchronous results."""

import asyncio
import json
import logging
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import select

from management.server.acting import acting_as
from management.server.clock import now, to_wire
from management.server.errors import ApiError
from management.server.messages import ApiMessage, Caller
from management.server.models.identity import ADMIN_UUID, SessionVO
from management.server.models.system import RestAPIVO
from management.server.node import Node

log = logging.getLogger(__name__)

# Answers to calls that never reached their handler carry these instead of their own name.
BARE_EVENT = "org.zstack.header.message.APIEvent"
BARE_REPLY = "org.zstack.header.message.APIReply"
WORKERS = 50


class EnvelopeError(Exception):
    """The body is not a call that this server knows; there is no message to answer to."""


class Calls:
    """Accepts calls for one node and keeps their results."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="api")
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, body: bytes, address: str) -> dict[str, Any]:
        """Answer a synchronous call from `address`, or accept an asynchronous one and answer `Processing`.

        Raises:
            EnvelopeError: see there.
        """
        wire_name, fields = _open_envelope(body)
        kind = self._node.registry.messages.get(wire_name)
        if kind is None:
            raise EnvelopeError(f"no API message is called {wire_name}")
        loop = asyncio.get_running_loop()
        if kind.sync:
            created = now()
            result = await loop.run_in_executor(self._workers, self._answer, kind, fields, address)
            return _done(None, created, result)
        row = RestAPIVO(uuid=uuid.uuid4().hex, apiMessageName=wire_name, state="Processing", createDate=now())
        await loop.run_in_executor(self._workers, self._insert, row)
        task = asyncio.create_task(self._finish(row.uuid, kind, fields, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return {"uuid": row.uuid, "state": row.state, "createdDate": to_wire(row.createDate)}

    async def result(self, result_uuid: str) -> dict[str, Any] | None:
        """The state of an asynchronous call, or None when there was no such call."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, self._load, result_uuid)

    async def close(self) -> None:
        """Wait for calls in progress; their child processes have been ended by the node."""
        await asyncio.gather(*self._tasks)
        self._workers.shutdown()

    async def _finish(self, result_uuid: str, kind: type[ApiMessage], fields: Mapping[str, Any], address: str) -> None:
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._workers, self._answer, kind, fields, address)
        await loop.run_in_executor(self._workers, self._store, result_uuid, answer)

    def _answer(self, kind: type[ApiMessage], fields: Mapping[str, Any], address: str) -> dict[str, Any]:
        bare = BARE_REPLY if kind.sync else BARE_EVENT
        try:
            message = self._node.registry.decode(kind.wire_name, dict(fields))
            caller = self._check_session(message, address)
            self._check_resources(message)
        except ApiError as error:
            return _failure(bare, error)
        try:
            with acting_as(caller.account_uuid, kind.verb()):
                return {kind.answer_name(): {**message.handle(self._node, caller), "success": True}}
        except ApiError as error:
            log.info("%s failed: %s", kind.verb(), error)
            return _failure(kind.answer_name(), error)
        except Exception as error:
            # The boundary of the API: the caller must get an answer, the log gets the traceback.
            log.exception("%s met an unexpected error", kind.verb())
            return _failure(kind.answer_name(), ApiError("SYS.1000", f"{type(error).__name__}: {error}"))

    def _check_session(self, message: ApiMessage, address: str) -> Caller:
        if not message.needs_session:
            return Caller(message.session.uuid if message.session else None, address=address)
        if not self._node.ready:
            raise ApiError("SYS.1010", f"management node[{self._node.uuid}] is still starting")
        if message.session is None:
            raise ApiError("ID.1001", f"{message.wire_name} carries no session; log in first")
        if not message.session.uuid:
            raise ApiError("ID.1001", "the session has no uuid; log in first")
        with self._node.database.read() as session:
            row = session.get(SessionVO, message.session.uuid)
        if row is None or row.expiredDate <= now():
            raise ApiError("ID.1001", "the session has expired; log in again")
        if row.accountUuid != ADMIN_UUID and not message.for_everybody:
            raise ApiError("ID.1002", f"only the account admin may call {message.verb()}")
        return Caller(row.uuid, row.accountUuid, address)

    def _check_resources(self, message: ApiMessage) -> None:
        with self._node.database.read() as session:
            for name, resource in message.resources():
                wanted = getattr(message, name)
                if wanted is None:
                    continue
                row: Any = session.get(resource.model, wanted)
                if row is None or getattr(row, "deleted", None) is not None:
                    raise ApiError(
                        "SYS.1003",
                        f"field[{name}]: there is no resource[uuid:{wanted}, type:{resource.model.__name__}]",
                    )

    def _insert(self, row: RestAPIVO) -> None:
        with self._node.database.write() as session:
            session.add(row)

    def _store(self, result_uuid: str, answer: dict[str, Any]) -> None:
        with self._node.database.write() as session:
            row = session.get_one(RestAPIVO, result_uuid)
            row.state, row.result, row.finishedDate = "Done", json.dumps(answer), now()

    def _load(self, result_uuid: str) -> dict[str, Any] | None:
        with self._node.database.read() as session:
            row = session.get(RestAPIVO, result_uuid)
        if row is None:
            return None
        if row.result is None:
            return {"uuid": row.uuid, "state": row.state, "createdDate": to_wire(row.createDate)}
        return _done(row.uuid, row.createDate, json.loads(row.result), row.finishedDate)


def fail_orphans(node: Node) -> int:
    """Finish the calls that an earlier server accepted and never answered. Returns how many there were."""
    error = ApiError("SYS.1012", "the management node stopped before the call was finished")
    with node.database.write() as session:
        rows = session.scalars(select(RestAPIVO).where(RestAPIVO.state == "Processing")).all()
        for row in rows:
            row.state, row.finishedDate = "Done", now()
            row.result = json.dumps(_failure(BARE_EVENT, error))
    return len(rows)


def _open_envelope(body: bytes) -> tuple[str, dict[str, Any]]:
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EnvelopeError(f"the body is not JSON: {error}") from error
    if not isinstance(envelope, dict) or len(envelope) != 1:
        raise EnvelopeError("the body must be an object with one key, the name of the message")
    ((wire_name, fields),) = envelope.items()
    if not isinstance(fields, dict):
        raise EnvelopeError(f"the fields of {wire_name} must be an object")
    return wire_name, fields


def _failure(name: str, error: ApiError) -> dict[str, Any]:
    return {name: {"success": False, "error": error.to_wire()}}


def _done(result_uuid: str | None, created: Any, result: dict[str, Any], finished: Any = None) -> dict[str, Any]:
    # `result` is JSON inside JSON: that is the protocol.
    answer = {"uuid": result_uuid} if result_uuid else {}
    answer |= {"state": "Done", "createdDate": to_wire(created), "finishedDate": to_wire(finished or now())}
    return {**answer, "result": json.dumps(result)}
