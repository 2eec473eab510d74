# Generated from src/poweremail/_async/durable/__init__.py; do not edit.
"""Durable batches: the driver of the ledger in `poweremail._ledger`."""
