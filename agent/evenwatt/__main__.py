"""`python -m evenwatt` and the `evenwatt` command."""

from evenwatt.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
