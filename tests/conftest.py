"""One thread each: the tests run in as many processes as there are cores."""

from __future__ import annotations

import os

# Read by torch's and numpy's libraries as they load, here and in what the tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
