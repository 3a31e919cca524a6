"""`lipsum worker` with the tiny trainer in place of torch; all else is the real thing."""

import sys
from pathlib import Path

from core.settings import load_settings
from worker.supervisor import main

if __name__ == "__main__":
    trainer = Path(__file__).parents[2] / "tiny_trainer.py"
    sys.exit(main(load_settings(), (sys.executable, str(trainer))))
