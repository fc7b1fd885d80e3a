#!/usr/bin/env python
"""Make scenes, train RANet on them for minutes, and draw what it learnt."""

import sys
from pathlib import Path

from segaware_mm.demo.cli import main

if __name__ == '__main__':
    sys.exit(main(str(Path(__file__).resolve().parents[1] / 'configs')))
