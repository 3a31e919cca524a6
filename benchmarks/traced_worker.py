"""`lipsum worker` with trainers that write down when they came to what."""

import sys

from core.settings import load_settings
from worker.supervisor import main

if __name__ == "__main__":
    sys.exit(main(load_settings(), (sys.executable, "-m", "benchmarks.traced_trainer")))
