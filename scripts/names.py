"""Count the names in ue_cli that say nothing of what they hold.

``python scripts/names.py`` prints where a pronoun or a participle is assigned or is an argument,
and their share of all assigned names and arguments; with ``--at-most 0.005`` it exits with 1 where
the share is larger.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "ue_cli"
EMPTY = frozenset("one found own known kept told said seen made shown some".split())


def names(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of every assignment and argument, a function's fields and loops included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


def main() -> int:
    """Print the places and the share."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--at-most", type=float, default=1.0, metavar="SHARE")
    parser.add_argument("package", type=Path, nargs="?", default=PACKAGE)
    arguments = parser.parse_args()
    total, places = 0, []
    for path in sorted(arguments.package.rglob("*.py")):
        for line, name in names(path.read_text()):
            total += 1
            if name.strip("_") in EMPTY:
                places.append(f"{path.relative_to(arguments.package.parent)}:{line}: {name}")
    print(*places, sep="\n")
    share = len(places) / max(total, 1)
    print(f"{len(places)} of {total} names, {100 * share:.2f} %")
    return int(share > arguments.at_most)


if __name__ == "__main__":
    sys.exit(main())
