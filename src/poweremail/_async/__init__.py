"""The client, awaited. Its twin on threads is generated from it."""
