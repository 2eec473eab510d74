"""The client: transports, the exchange of a request for an answer, pages, batches, namespaces."""
