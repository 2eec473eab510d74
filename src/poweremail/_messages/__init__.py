"""
The mails that a caller sends: own content, templates, and whole RFC 5322 messages.

Read `message` first. `envelope` has what all mails have in common: a new field or header option of
a mail goes there, or into `message` if only one kind has it. `read` and `write` convert from and to
the messages of the standard library.
"""
