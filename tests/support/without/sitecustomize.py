"""Make Python do without the packages that ROBOJAM_WITHOUT names, as if none were installed.

Python imports this module at its start where its folder is in PYTHONPATH, in child processes
too.
"""

import os
import sys

for name in os.environ.get("ROBOJAM_WITHOUT", "").split():
    sys.modules[name] = None  # type: ignore[assignment]
