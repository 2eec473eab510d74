"""
The calls of the API.

A request arrives as a `Call` and is read into a mail, a lookup or a setting; the service carries it
out and returns a `Reply`. To add a call, add a line to the table of `settings` (account, SMTP
users, domains, webhooks) or of `requests` (mails), and the function that the line names.
"""
