"""The sandbox's database: mails, their events, the account, and the clock."""
