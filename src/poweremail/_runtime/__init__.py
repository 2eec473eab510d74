"""
The seam between the async client and the sync client: the same names, written twice by hand.

The modules called ``_async`` use anyio, their twins called ``_sync`` use threads; each pair offers
the same names with the same parameters (``tests/test_architecture.py``). Everything above uses
these names only, so that the sync client can be generated from the async one.
"""
