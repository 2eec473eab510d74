"""
The seam between the worlds: the same names, written twice by hand.

``_async`` is on anyio, ``_sync`` on threads. Everything above uses them by these names alone, so that it can be generated.
"""
