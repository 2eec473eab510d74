"""
Values that users give and get. They import attrs, the standard library, `poweremail.errors` and
`poweremail._response`, and nothing else.
"""
