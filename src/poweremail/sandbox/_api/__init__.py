"""The calls of the API, each a function of a call and the store."""
