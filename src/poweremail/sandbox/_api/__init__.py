"""
The calls of the API: a request is read and checked here, without I/O.

A request arrives as a `Call` and is read into a mail or into another call; the service carries it
out and returns a `Reply`. To add a call, add a line to ``CALLS`` of `settings` (account, SMTP
users, domains, webhooks) or to ``_READERS`` of `requests` (mails), and the function that the line
names.
"""
