"""
The HTTP API of the service as values: types to requests, responses to types or errors. No clock, no
sockets, no policy.
"""
