"""The tables of the shop; those of the outbox come from its own app."""
