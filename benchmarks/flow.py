#!/usr/bin/env python
"""Train the rows of flow_rows.py and write the table of their end-point errors.

A finished row is not trained again, an interrupted one goes on from its last
checkpoint. See benchmarks/README.md.
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench_trainings import Table, make_parser, run_table, work  # noqa: E402
from flow_job import FlowJob  # noqa: E402
from flow_rows import ROWS  # noqa: E402
from flow_table import make_page  # noqa: E402

TABLE = Table('flow', __doc__.split('\n')[0], ROWS, make_page, FlowJob)

parser = partial(make_parser, TABLE)
work = partial(work, TABLE)
main = partial(run_table, TABLE)

if __name__ == '__main__':
    sys.exit(main())
