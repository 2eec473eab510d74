"""
Values that users give and get. They import attrs, the standard library, ``errors`` and
``response``: nothing else.
"""
