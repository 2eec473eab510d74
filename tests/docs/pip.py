"""
``pip`` of the terminal in which a page is followed.

With POWEREMAIL_PAGES=WHEEL it installs, and the wheel is poweremail. Without it, it installs
nothing and fails if something is not there.
"""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

command, *requirements = sys.argv[1:]
if command != "install":
    sys.exit(f"no test knows how to run pip {command}")
wheel = os.environ.get("POWEREMAIL_PAGES")
if wheel:
    url = Path(wheel).resolve().as_uri()
    wanted = [re.sub(r"^(poweremail(?:\[.*\])?)$", rf"\1 @ {url}", each) for each in requirements]
    python = shutil.which("python")
    install = [os.environ["UV"], "pip", "install", "-q", "--python", python]
    subprocess.run([*install, *wanted], check=True)
else:
    for each in requirements:
        if not each.startswith("-"):
            importlib.metadata.version(re.match(r"[\w.-]+", each)[0])
