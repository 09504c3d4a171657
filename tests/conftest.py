"""One thread each, as there are as many processes as cores; and Ctrl-C as users have it."""

from __future__ import annotations

import os
import signal

# Read by torch's and numpy's libraries as they load, here and in what the tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A background job of a shell ignores Ctrl-C, and so would what the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
