"""The migrations. Each brings the tables to the version of the installed library."""
