"""Clients of the library that reach the sandbox of this process without a socket."""
