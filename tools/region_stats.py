#!/usr/bin/env python
"""Count the regions of a trained RANet at several thresholds."""

import sys

from segaware_mm.visualization.region_table import main

if __name__ == '__main__':
    sys.exit(main())
