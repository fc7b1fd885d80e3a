#!/usr/bin/env python
"""Train the rows of transfer_rows.py and write the table of their mean IoU.

Classes whose masks were never seen, beside full supervision of the same network
and class activation maps. A finished row is not trained again, an interrupted
one goes on from its last checkpoint. See benchmarks/README.md.
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench_trainings import Table, make_parser, run_table, work  # noqa: E402
from transfer_job import TransferJob  # noqa: E402
from transfer_rows import ROWS  # noqa: E402
from transfer_table import make_page  # noqa: E402

TABLE = Table('transfer', __doc__.split('\n')[0], ROWS, make_page, TransferJob)

parser = partial(make_parser, TABLE)
work = partial(work, TABLE)
main = partial(run_table, TABLE)

if __name__ == '__main__':
    sys.exit(main())
