"""``python -m poweremail``: the same as the command."""

from poweremail._cli import main

main()
