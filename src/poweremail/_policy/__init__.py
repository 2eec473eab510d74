"""
Decisions about calls: options, limits, outcomes and retries.

Functions and values only. Nothing here waits, and nothing does I/O: the time is an argument.
"""
