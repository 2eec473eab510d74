"""
Messages from and to the standard library's ``email`` package; loaded on first use, because
importing that takes a while.

`words` and `charset` say how text travels, `mailboxes` how addresses do; `part` reads one part of a
message whatever made it; `fields` reads a message's headers and `bodies` its parts, both for
`read`; `write` makes a message.
"""
