"""`lipsum worker`, whose sweeper waits less than an hour before it deletes what no row names."""

import sys

from core.settings import load_settings
from worker.supervisor import main

QUIET_SECONDS = 40.0  # longer than any process is frozen, or any line cut

if __name__ == "__main__":
    sys.exit(main(load_settings(), quiet_seconds=QUIET_SECONDS))
