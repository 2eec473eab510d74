"""
Decisions about calls: options, limits, outcomes and retries.

Functions and values only. Nothing here waits, and nothing does I/O: the time is an argument.

Read `outcome` first: what a failed attempt means for the mail, and whether it may be repeated. A
new option of a client goes into `settings`, the wait before a retry into `retry`, who is left out
of a mail into `suppression`.
"""
