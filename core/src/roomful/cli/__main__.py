"""`python -m roomful.cli`."""

from roomful.cli import main

raise SystemExit(main())
