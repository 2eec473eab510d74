"""``python -m poweremail``: the same as the command."""

from poweremail.cli import main

main()
