# Generated from src/poweremail/_async/__init__.py; do not edit.
"""The client: transports, the exchange of a request for an answer, pages, batches, namespaces."""
