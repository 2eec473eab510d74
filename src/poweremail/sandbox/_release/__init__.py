"""Releases caught mail to a real SMTP server."""
