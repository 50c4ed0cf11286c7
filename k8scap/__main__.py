"""`python -m k8scap`: the command `k8scap`, where its folder is not on the PATH."""

from __future__ import annotations

import sys

from k8scap.cli import main

sys.exit(main())
