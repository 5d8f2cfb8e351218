"""Where CI is set, properties try the same examples every time; elsewhere they look for new ones.

Linear algebra runs on one processor: on busy machines the threads of OpenBLAS wait for each other, many times longer
than the work takes.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")
