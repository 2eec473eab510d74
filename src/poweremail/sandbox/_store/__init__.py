"""
The sandbox's database: mails, their events, the account, and the clock.

Read `mails` first: the caught mails, kept and found. `mail` has their values, `database` the
connection and its transactions. `filter`, `search` and `index` find mails. A new table or column
goes into `schema`, with the version that adds it.
"""
