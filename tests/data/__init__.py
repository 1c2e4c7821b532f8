"""What the tests read; README.md says where it comes from."""

from pathlib import Path

DATA = Path(__file__).parent
