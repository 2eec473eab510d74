"""
Reading and writing mails: one reader of address headers, one reader of messages, one writer.

All of them work on plain values (`values`): the client's messages, the sandbox and the SMTP release
stand above and convert from and to them. `words` is about text, `addresses` and `headers` about
headers; `part` reads one MIME part, `reader` chooses the bodies and files of a
whole message, `writer` makes a message.

The standard library's ``email`` package parses the structure and generates the bytes. Its readers
and writers of single headers are not used: they differ between Python versions, and some of them
lose data. Importing that package takes a while, so this room is loaded on first use.
"""
