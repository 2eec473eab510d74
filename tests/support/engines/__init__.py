"""
The proof of `poweremail.engines`: real workers of a task queue are killed again and again, and a
sandbox of its own process counts the mails.

``python -m support.engines --kills 200 celery`` prints the figures. `site` starts the servers and
the workers, `faults` is what befalls them, `loop` lets it befall them, and `judge` compares what
happened with what the ledger says. The other modules run in the workers.
"""
