#!/usr/bin/env python
"""Train the rows of mnc_rows.py and write the table of their mask AP.

A finished row is not trained again, an interrupted one goes on from its last
checkpoint. See benchmarks/README.md.
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench_trainings import Table, make_parser, run_table, work  # noqa: E402
from mnc_job import MNCJob  # noqa: E402
from mnc_rows import ROWS  # noqa: E402
from mnc_table import make_page  # noqa: E402

TABLE = Table('mnc', __doc__.split('\n')[0], ROWS, make_page, MNCJob)

parser = partial(make_parser, TABLE)
work = partial(work, TABLE)
main = partial(run_table, TABLE)

if __name__ == '__main__':
    sys.exit(main())
