"""Durable batches: the driver of the ledger in `poweremail.batch.ledger`."""
