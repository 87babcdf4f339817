"""``python -m distilwhy`` is ``distilwhy``."""

from __future__ import annotations

from distilwhy.cli.main import main

if __name__ == "__main__":
    main()
