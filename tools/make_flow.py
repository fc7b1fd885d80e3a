#!/usr/bin/env python
"""Write procedural pairs with exact optical flow to disk."""

import sys

from segaware_mm.datasets.flow.cli import main

if __name__ == '__main__':
    sys.exit(main())
