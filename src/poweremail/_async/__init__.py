"""The client: transports, the attempts of a call, sends, pages, settings and durable batches."""
