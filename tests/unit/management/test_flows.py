"""Flows: steps in order, and the undo of all that began when one fails."""

import logging
from typing import Any, cast

import pytest

from management import deadlines
from management.server.flows import Step, Work, run_flow
from management.server.node import Node
from tests.unit.management.conftest import Clock

NODE = cast(Node, None)


def note(text: str, error: Exception | None = None) -> Work:
    """A piece of work that says in the context that it ran, and then fails when it is to."""

    def work(_node: Node, context: dict[str, Any]) -> None:
        context["ran"] = [*context.get("ran", []), text]
        if error is not None:
            raise error

    return work


def test_steps_run_in_order() -> None:
    steps = [Step("one", note("one"), note("undo one")), Step("two", note("two"))]
    assert run_flow(NODE, steps, {})["ran"] == ["one", "two"]


def test_what_began_is_undone_in_reverse(caplog: pytest.LogCaptureFixture) -> None:
    context: dict[str, Any] = {}
    steps = [
        Step("one", note("one"), note("undo one")),
        Step("two", note("two"), note("undo two", ZeroDivisionError())),
        Step("three", note("three")),
        Step("four", note("four", KeyError("lost")), note("undo four")),
        Step("five", note("five"), note("undo five")),
    ]
    with caplog.at_level(logging.ERROR), pytest.raises(KeyError, match="lost"):
        run_flow(NODE, steps, context)
    assert context["ran"] == ["one", "two", "three", "four", "undo four", "undo two", "undo one"]
    assert "step two was not undone" in caplog.text


def test_after_a_final_step_nothing_is_undone_and_time_does_not_count(clock: Clock) -> None:
    context: dict[str, Any] = {}

    def move(node: Node, context: dict[str, Any]) -> None:
        note("move")(node, context)
        clock.now += 60

    steps = [
        Step("take", note("take"), note("give back")),
        Step("move", move, note("move back"), final=True),
        Step("write down", note("write down"), note("rub out")),
    ]
    with deadlines.within(1):
        run_flow(NODE, steps, context)
    assert context["ran"] == ["take", "move", "write down"]
    with pytest.raises(KeyError):
        run_flow(NODE, [*steps, Step("fail", note("fail", KeyError("lost")))], context)
    assert "give back" not in context["ran"]


def test_a_final_step_that_fails_is_undone_like_any_other() -> None:
    context: dict[str, Any] = {}
    steps = [Step("take", note("take"), note("give back")), Step("move", note("move", KeyError("no")), final=True)]
    with pytest.raises(KeyError):
        run_flow(NODE, steps, context)
    assert context["ran"] == ["take", "move", "give back"]
