# Generated from src/poweremail/_async/__init__.py; do not edit.
"""The client: transports, the attempts of a call, sends, pages, settings and durable batches."""
