"""`python -m tests.differential.analytic`."""

from tests.differential.analytic.run import main

if __name__ == "__main__":
    raise SystemExit(main())
