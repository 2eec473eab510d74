"""
Decisions: they take values and clock readings and answer what to do. They never wait and never do
I/O.
"""
