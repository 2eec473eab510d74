"""
The calls of the API.

A request becomes a `Call`, is read into the mail, lookup or setting it asks for, and its response
becomes a `Reply`. To add a call, add a line to the table of `settings` (account, SMTP users,
domains, webhooks) or of `requests` (mails), and the function that the line names.
"""
