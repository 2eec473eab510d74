# Generated from src/poweremail/_async/__init__.py; do not edit.
"""
The client.

A call goes down through `client`, then `messages` or `settings`, then `send` (the outcome of a
mail) and `exchange` (attempts and retries) to a transport. Beside that path stand `limiter` (rate
limits), `message_infos` (the page iterator), `send_many` and `durable` (batches in a ledger).
"""
