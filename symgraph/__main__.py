"""``python -m symgraph`` is the command ``symgraph``."""

from symgraph.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
