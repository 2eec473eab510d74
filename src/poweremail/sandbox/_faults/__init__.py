"""
Faults on demand: their kinds, and the rules that choose the requests they hit.

To add a kind of fault, add a function to `kinds.Fault`. The service applies its `kinds.Effect`; the
server and the in-process transport only have to change for a new way to break a connection
(`Broken` in ``_api/__init__.py``).
"""
