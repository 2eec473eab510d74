# Generated from src/poweremail/_async/durable/__init__.py; do not edit.
"""
Durable batches: they send the rows of a ledger and record each outcome in it.

The ledger itself, which knows neither HTTP nor a client, is `poweremail._ledger`.
"""
