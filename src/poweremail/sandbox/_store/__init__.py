"""What the sandbox keeps: mails, their events, the account, and the clock."""
