"""Caught mail that is handed on to a real SMTP server."""
