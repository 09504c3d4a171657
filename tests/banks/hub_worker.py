"""Runs the real command line again and again in one process, for one environment.

huggingface_hub reads its variables as it is imported, and importing it costs more than a test may.
Each line on stdin is a JSON list of arguments; each line on stdout tells what came of it. Waits
between tries are left out.
"""

from __future__ import annotations

import io
import json
import sys
import time
from contextlib import redirect_stderr, redirect_stdout

from ue_cli.cli import main


def run(arguments: list[str]) -> dict[str, object]:
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["ue", *arguments]
    code: object = None
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


if __name__ == "__main__":
    time.sleep = lambda seconds: None
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
