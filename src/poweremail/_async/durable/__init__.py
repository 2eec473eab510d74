"""
Durable batches: they send the rows of a ledger and record each outcome in it.

The ledger itself, which knows neither HTTP nor a client, is `poweremail._ledger`.
"""
