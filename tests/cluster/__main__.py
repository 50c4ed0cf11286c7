"""`python -m cluster FOLDER RUN`: the cluster's own process."""

import asyncio
import sys
from pathlib import Path

from cluster.server import serve

asyncio.run(serve(Path(sys.argv[1]), sys.argv[2]))
