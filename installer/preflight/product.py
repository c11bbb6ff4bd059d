"""The product's own checks, out of its manifest."""

from __future__ import annotations

from installer.preflight.model import Misfit, Result, Subject, finding
from payload.errors import InputError
from payload.requirements import ProductCheck
from templates.render import holds


def examine_for_product(check: ProductCheck, subject: Subject) -> Result:
    """The result of one of them. Pure: its program has run already, if it has one."""
    seen = _condition_fault(check, subject) if check.condition is not None else subject.facts.refusals.get(check.id)
    found = () if seen is None else (finding(check.id, Misfit(seen, check.wanted, check.fix), strict=check.strict),)
    return Result(check.id, check.about, "strict" if check.strict else "advisory", found)


def _condition_fault(check: ProductCheck, subject: Subject) -> str | None:
    condition = check.condition or ""
    try:
        fits = holds(condition, subject.facts.to_body(), where=f"the condition of {check.id}")
    except InputError as error:  # a condition that says nothing does not say that the host fits
        return f"{error.brief}: {error.details}"
    return None if fits else f"not so: {condition}"
