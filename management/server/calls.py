"""From an envelope to an answer: session, checks, handler, and the life of asynchronous results."""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from datetime import timedelta
from functools import partial
from typing import Any, ParamSpec, TypeVar

import orjson
from sqlalchemy import bindparam, select

from management import deadlines
from management.server import schema
from management.server.acting import acting_as
from management.server.clock import now, to_wire
from management.server.errors import ApiError
from management.server.glimpses import TooLongError
from management.server.heartbeat import Heartbeat
from management.server.logs import marked
from management.server.messages import ApiMessage, Caller
from management.server.models.identity import ADMIN_UUID, SessionVO
from management.server.node import Node
from management.server.query import QueryMessage
from management.server.statements import fetch
from management.server.timeouts import check_time, late
from management.server.work import Recorded, Work, current_call, next_uuid

log = logging.getLogger(__name__)

# Answers to calls that never reached their handler carry these instead of their own name.
BARE_EVENT = "org.zstack.header.message.APIEvent"
BARE_REPLY = "org.zstack.header.message.APIReply"
WORKERS = 50
SHORT = 4096
"""Bytes of a query that may be answered without another thread: a longer one takes long before it comes to any SQL."""
P = ParamSpec("P")
T = TypeVar("T")


_sessions = SessionVO.__table__.c
SESSION = select(_sessions.accountUuid, _sessions.expiredDate).where(_sessions.uuid == bindparam("uuid"))
"""Asked for with every call."""


class EnvelopeError(Exception):
    """The body is not a call that this server knows; there is no message to answer to."""


class Calls:
    """Accepts calls for one node and keeps their results."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="api")
        # Whoever asks a database in this process gives the interpreter's lock away with every row: more threads than
        # processors would only hand it round. Those that ask a database elsewhere wait for it most of the time.
        readers = WORKERS if node.database.shared else os.cpu_count()
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="query")
        self._work = Work(node.database, node.uuid, schema.head(), self._run, self._interrupted)
        self._heartbeat = Heartbeat(node.database, node.uuid, self._tend, _fenced)

    async def accept(self, body: bytes, address: str) -> dict[str, Any]:
        """Answer a synchronous call from `address`, or accept an asynchronous one and answer `Processing`.

        Raises:
            EnvelopeError: see there.
        """
        wire_name, fields = _open_envelope(body)
        kind = self._node.registry.messages.get(wire_name)
        if kind is None:
            raise EnvelopeError(f"no API message is called {wire_name}")
        if kind.sync:
            created = now()
            query = issubclass(kind, QueryMessage)
            answer = self._glimpse(kind, fields, address) if query and len(body) <= SHORT else None
            if answer is None:
                threads = self._readers if query else self._workers
                answer = await _in_thread(threads, self._answer, kind, fields, address)
            return _done(None, created, answer)
        subject = kind.subject(fields)
        secret = kind.secrets()
        limit = await self._in_worker(self._node.timeouts.of_call, kind, fields)
        accept = partial(self._work.accept, resource=subject, milliseconds=limit)
        call_uuid = next_uuid()
        with marked(call=call_uuid):
            # First, for it may run, and end, before this thread goes on: it is not accepted yet.
            log.info("%s received", kind.verb())
            return _state(await self._in_worker(accept, call_uuid, wire_name, fields, secret, address))

    async def result(self, result_uuid: str) -> dict[str, Any] | None:
        """The state of an asynchronous call, or None when there was no such call."""
        recorded = await self._in_worker(self._work.find, result_uuid)
        return None if recorded is None else _state(recorded)

    def _glimpse(self, kind: type[ApiMessage], fields: Mapping[str, Any], address: str) -> dict[str, Any] | None:
        """Answer a query in this very thread if that takes a moment, which is less than the way to another one."""
        with suppress(TooLongError), self._node.database.glimpse():
            return self._answer(kind, fields, address)
        return None

    async def _in_worker(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await _in_thread(self._workers, work, *args, **kwargs)

    def start(self) -> None:
        """Begin with the calls in the queue: the node is ready. Say that it lives, and adopt what dead ones left."""
        self._work.start()
        self._follow_schema()
        self._heartbeat.beat()
        self._heartbeat.start()

    def stop(self) -> None:
        """Take no more calls."""
        self._heartbeat.stop()
        self._work.close()
        self._workers.shutdown()
        self._readers.shutdown()

    def _follow_schema(self) -> None:
        """Do the work as long as the schema is this release's; leave it to newer nodes when it is theirs."""
        try:
            state = schema.schema_state(self._node.database)
        except schema.NewerSchemaError as error:
            log.critical("%s", error)
            os._exit(1)
        if self._node.outdated != state.newer:
            log.warning(
                "the schema is %s: %s", state.current, "newer nodes do the work" if state.newer else "ours again"
            )
        self._node.outdated = state.newer
        if state.at_head:
            self._work.lead()

    def _tend(self, living: Collection[str]) -> int:
        self._follow_schema()
        self._work.purge(timedelta(days=self._node.config.keep_calls_days))
        if given_up := self._work.give_up():
            log.warning("%d calls were given up: their turn did not come in time", given_up)
        return self._work.adopt(living)

    def _run(self, wire_name: str, fields: dict[str, Any], address: str, left: float | None) -> dict[str, Any]:
        kind = self._node.registry.messages.get(wire_name)
        if kind is None:  # accepted by a node of a newer release
            return _failure(BARE_EVENT, ApiError("SYS.1008", f"this release knows no message {wire_name}"))
        return self._answer_in_time(kind, fields, address, left)

    def _interrupted(self, wire_name: str, fields: dict[str, Any], address: str, left: float | None) -> dict[str, Any]:
        kind = self._node.registry.messages.get(wire_name)
        if kind is not None and kind.repeatable and not kind.secrets():
            return self._answer_in_time(kind, fields, address, left)
        text = "the management node stopped before the call was finished; look at what it did before you call again"
        return _failure(BARE_EVENT, ApiError("SYS.1012", text))

    def _answer_in_time(
        self, kind: type[ApiMessage], fields: Mapping[str, Any], address: str, left: float | None
    ) -> dict[str, Any]:
        seconds = self._node.timeouts.of_call(kind, fields) / 1000 if left is None else left
        with marked(call=current_call()), self._node.timeouts.bound(kind, seconds):
            return self._answer(kind, fields, address)

    def _answer(self, kind: type[ApiMessage], fields: Mapping[str, Any], address: str) -> dict[str, Any]:
        with self._node.metrics.call(kind.verb()) as outcome:
            answer = self._handle(kind, fields, address)
            (content,) = answer.values()
            if not content["success"]:
                outcome.append(content["error"]["code"])
        return answer

    def _handle(self, kind: type[ApiMessage], fields: Mapping[str, Any], address: str) -> dict[str, Any]:
        if issubclass(kind, QueryMessage):
            # Whoever asks and what is asked for are read in one snapshot, which also saves half of its price.
            with self._node.database.snapshot():
                return self._handle_message(kind, fields, address)
        return self._handle_message(kind, fields, address)

    def _handle_message(self, kind: type[ApiMessage], fields: Mapping[str, Any], address: str) -> dict[str, Any]:
        bare = BARE_REPLY if kind.sync else BARE_EVENT
        try:
            message = self._node.registry.decode(kind.wire_name, dict(fields))
            caller = self._check_session(message, address)
            self._check_resources(message)
        except ApiError as error:
            return _failure(bare, error)
        try:
            check_time()
            with acting_as(caller.account_uuid, kind.verb()):
                return {kind.answer_name(): {**message.handle(self._node, caller), "success": True}}
        except ApiError as error:
            if deadlines.passed() and error.has("SYS.1001"):
                error = late(kind, self._node.timeouts.of_call(kind, fields), error)
            log.info("%s failed: %s", kind.verb(), error)
            return _failure(kind.answer_name(), error)
        except TooLongError:  # no answer: it is asked again where there is time
            raise
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
        with self._node.database.snapshot() as session:
            found = fetch(session, SESSION, {"uuid": message.session.uuid}).values
        account, expires = found[0] if found else (None, now())
        if expires <= now():
            raise ApiError("ID.1001", "the session has expired; log in again")
        if account != ADMIN_UUID and not message.for_everybody:
            raise ApiError("ID.1002", f"only the account admin may call {message.verb()}")
        return Caller(message.session.uuid, account, address)

    def _check_resources(self, message: ApiMessage) -> None:
        named = [(name, resource, getattr(message, name)) for name, resource in message.resources()]
        if not named:
            return
        with self._node.database.read() as session:
            for name, resource, wanted in named:
                if wanted is None:
                    continue
                row: Any = session.get(resource.model, wanted)
                if row is None or getattr(row, "deleted", None) is not None:
                    raise ApiError(
                        "SYS.1003",
                        f"field[{name}]: there is no resource[uuid:{wanted}, type:{resource.model.__name__}]",
                    )


async def _in_thread(threads: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do `work` in one of `threads`, with the marks that its log lines carry."""
    bound = partial(copy_context().run, work, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(threads, bound)


def _fenced() -> None:
    # Others hold us for dead and have our work: nothing of it may go on here. The service manager starts us anew.
    log.critical("this node was taken for dead; it ends")
    os._exit(1)


def _open_envelope(body: bytes) -> tuple[str, dict[str, Any]]:
    try:
        envelope = json.loads(body)
        if b"\\u" in body:
            # JSON can name half of a surrogate pair, which is no text: nothing could store or print it.
            json.dumps(envelope, ensure_ascii=False).encode()
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
    return {**answer, "result": orjson.dumps(result).decode()}


def _state(call: Recorded) -> dict[str, Any]:
    if call.late:
        failure = _failure(BARE_EVENT, ApiError("SYS.1001", "the call was given up: its time was over"))
        return _done(call.uuid, call.created, failure, call.finished)
    if call.error is not None:
        failure = _failure(BARE_EVENT, ApiError("SYS.1000", call.error))
        return _done(call.uuid, call.created, failure, call.finished)
    if call.answer is None:
        limit = {} if call.timeout is None else {"timeout": call.timeout}
        return {"uuid": call.uuid, "state": "Processing", "createdDate": to_wire(call.created), **limit}
    return _done(call.uuid, call.created, call.answer, call.finished)
