#!/usr/bin/env python
"""Test a model of an mmsegmentation or mmdetection config."""

import sys

from segaware_mm.engine.test import main

if __name__ == '__main__':
    sys.exit(main())
