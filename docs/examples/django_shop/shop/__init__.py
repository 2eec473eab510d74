"""A shop whose mails are sent by an outbox."""
