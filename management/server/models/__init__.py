"""The tables, one module per family. A family that is left out of a release takes its module with it."""

from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """The metadata that all families share."""
