"""
The ledger of a batch: the state of each message in a database, so that a crash at any moment loses
no mail and doubles none.

Theory of operation. The service has no idempotency key, so a request must not be made twice, and a
process can die between any two instructions. The ledger therefore records the intention before the
request: a row becomes *sending*, and the commit is on the disk, before the first byte leaves. After
a crash such a row becomes *unknown*. It is looked up by its unique id, and sent again only if the
user has said when a mail that is not visible was certainly never accepted.

Several workers, on several hosts, can use one ledger. Each row that a worker holds has a lease and
a fence. A worker that does not renew its lease in time loses the row, and the fence, a number that
grows with each change of owner, keeps it from writing to the row afterwards. All times are those of
the database's clock, so the clocks of the hosts need not agree.

The modules stand above each other: `states`, `values` and `verdicts` (no database); `schema` and
`database`; `statements`, `rate_limits` and `worker`; `payload`, `entries`, `adding` and `ledger`.
All of it is synchronous and knows neither HTTP nor the client.

How it is tested: a state machine compares ledger and workers with a model (`tests/batch`), and the
real command is killed at every durable step while the sandbox counts the mails (`nox -s crash`).
"""
