"""
The migrations, and their operation. Each brings the tables to the version of the installed library.
"""

from __future__ import annotations

from typing import Any

from django.db import router
from django.db.migrations.operations.base import Operation

from poweremail._ledger.versions import VERSION, create_statements, drop_statements
from poweremail.errors import ConfigurationError, LedgerError

__all__ = ["CreateLedger"]


class _CreateLedger(Operation):
    """
    Create the tables of a ledger, in the version of the installed library.

    Tables that exist in this version already, because a worker has created them, stay as they are.
    """

    reversible = True
    reduces_to_sql = True

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Do nothing: there are no models."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Create the tables."""
        del from_state, to_state
        if self._is_allowed(app_label, schema_editor) and not self._exists(schema_editor):
            for statement in create_statements(_dialect(schema_editor)):
                schema_editor.execute(statement, params=None)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Drop the tables, with all that is in them."""
        del from_state, to_state
        if self._is_allowed(app_label, schema_editor):
            for statement in drop_statements(_dialect(schema_editor)):
                schema_editor.execute(statement, params=None)

    def describe(self) -> str:
        """What it does."""
        return "Create the tables of PowerEmail's ledger"

    @staticmethod
    def _is_allowed(app_label: str, schema_editor: Any) -> bool:
        return bool(router.allow_migrate(schema_editor.connection.alias, app_label))

    @staticmethod
    def _exists(schema_editor: Any) -> bool:
        connection = schema_editor.connection
        with connection.cursor() as cursor:
            if "poweremail_ledger" not in connection.introspection.table_names(cursor):
                return False
            cursor.execute("SELECT max(version) FROM poweremail_ledger")
            (version,) = cursor.fetchone()
        if version == VERSION:
            return True
        raise LedgerError(
            f"the tables exist and have version {version}, not {VERSION}",
            advice="let `poweremail batch list` with this database as its ledger migrate them",
        )


# Its base has no types, so it is no public type of the library.
CreateLedger: type[Any] = _CreateLedger


def _dialect(schema_editor: Any) -> str:
    vendor: str = schema_editor.connection.vendor
    if vendor not in ("postgresql", "sqlite"):
        raise ConfigurationError(
            f"an outbox is in PostgreSQL or SQLite, not in {vendor}",
            advice="a database router keeps the app 'poweremail' out of this database",
        )
    return vendor
