"""
The sandbox as an HTTP server: the API, the control API and the page.

Read `app` first: it takes every request, and hands it to the service, to `control` or to the page
in `ui`. `serving` and `listener` are the sockets, `guard`, `auth` and `headers` protect the page. A
new call of the control API goes into a module of `control`, with its response in `replies`; a new
warning about a mail goes into `checks`.
"""
