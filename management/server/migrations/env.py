"""Alembic's environment: run the revisions on the connection that the caller has opened."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
# No transaction of Alembic's own: the caller's spans all revisions, so a failing one undoes all.
context.run_migrations()
