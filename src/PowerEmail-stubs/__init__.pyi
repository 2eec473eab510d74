# A module that is a file cannot say that it has types (PEP 561): this says it for PowerEmail.py.

from poweremail._vendor import *  # noqa: F403  what its __all__ names
