"""The base of everything that is read from or written to a file."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class Document(BaseModel):
    """Base of everything that is read from or written to a file."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=_kebab,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        arbitrary_types_allowed=True,
        defer_build=True,
    )

    def to_table(self) -> dict[str, Any]:
        """As JSON, without what is as if it were not given."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
