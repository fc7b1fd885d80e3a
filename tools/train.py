#!/usr/bin/env python
"""Train a model of an mmsegmentation or mmdetection config."""

import sys

from segaware_mm.engine.train import main

if __name__ == '__main__':
    sys.exit(main())
