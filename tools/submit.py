#!/usr/bin/env python
"""Turn a config and a checkpoint into the archive that a test server takes."""

import sys

from segaware_mm.submission.cli import main

if __name__ == '__main__':
    sys.exit(main())
