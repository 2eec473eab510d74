"""Durable batches: the driver of the ledger in `poweremail._ledger`."""
