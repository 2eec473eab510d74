"""
Events of caught mails, and their delivery to webhooks.

Read `recording` first: it makes the events of a mail, by itself or by the `script` of the sandbox.
`deliveries` keeps the POSTs, `delivering` decides when one is due, and `posting` makes it.
"""
