"""The sandbox as an HTTP server: the API, the control API and the page."""
