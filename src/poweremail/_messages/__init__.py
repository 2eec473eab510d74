"""The mails that a caller sends: own content, templates, and whole RFC 5322 messages."""
