#!/usr/bin/env python
"""Write procedural scenes to disk in the layout of a known data set."""

import sys

from segaware_mm.datasets.scenes.cli import main

if __name__ == '__main__':
    sys.exit(main())
