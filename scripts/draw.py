"""Draws docs/*.svg from what the project is: the kubelet's transition table, the imports, a run of a cluster.

python scripts/draw.py            writes them
python scripts/draw.py --check    says whether they are up to date
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from drawing import layers, onepod, stages

DOCS = Path(__file__).parents[1] / "docs"
PICTURES: dict[str, Callable[[], str]] = {
    "pod-lifecycle.svg": stages.draw,
    "layers.svg": layers.draw,
    "one-pod.svg": onepod.draw,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a picture would change")
    parser.add_argument("names", nargs="*", default=list(PICTURES), help="only these pictures")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in PICTURES]:
        parser.error(f"no such picture: {', '.join(unknown)}")
    stale = []
    for name in options.names:
        path, text = DOCS / name, PICTURES[name]()
        if options.check:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(f"docs/{name}")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale:
        print(f"out of date: {', '.join(stale)}; run scripts/draw.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
