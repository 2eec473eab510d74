"""
Parts for frameworks. The library itself imports none of them.

Each module or package here is for one framework, has an extra of its name in ``pyproject.toml``,
and uses public names of the library as far as it can.
"""
