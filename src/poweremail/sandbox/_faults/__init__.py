"""Faults on demand: their kinds, and the rules that choose the requests they hit."""
