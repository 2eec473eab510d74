"""
The seam between the worlds: the same names, written twice by hand.

The modules called ``_async`` are on anyio, those called ``_sync`` on threads. Everything above uses
them by these names alone, so that it can be generated.
"""
