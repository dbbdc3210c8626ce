"""Where tests of pipelines find what they share."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # tests are no package: `dedup_pool` lies beside
