"""
The ledger of a batch: which message is where, on disk, so that a crash at any moment loses nothing
and doubles nothing.

All of it is synchronous, knows neither HTTP nor the client, and goes by the clock of the database:
nothing in it assumes one machine.
"""
