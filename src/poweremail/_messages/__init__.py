"""What a caller sends: mails, mails from templates, and whole RFC 5322 messages."""
