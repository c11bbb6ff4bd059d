"""The tables, one module per family. A family that is left out of a release takes its module with it."""

from typing import Any, ClassVar

from sqlalchemy import BigInteger
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """The metadata that all families share."""

    # PostgreSQL is told the type of every bound number: a size or a capacity does not fit into its INTEGER.
    type_annotation_map: ClassVar[dict[Any, Any]] = {int: BigInteger}
