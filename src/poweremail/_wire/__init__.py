"""
The HTTP API of the service as values: types to requests, responses to types or errors. No clock, no
sockets, no policy.

Read `operations` first, the table of the calls. `encode` and `decode` are about messages, their
twins with ``_settings`` about the account; both stand on `convert` (cattrs), `json` and `http`.
A new call is a line in `operations` and a function in one module of each pair. A new form of
response, or an error that the service words in a new way, goes into `decode`.
"""
