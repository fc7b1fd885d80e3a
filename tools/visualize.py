#!/usr/bin/env python
"""Draw what a trained model sees in images: regions, boundaries, predictions."""

import sys

from segaware_mm.visualization.cli import main

if __name__ == '__main__':
    sys.exit(main())
