"""FlowNetS with plain convolutions on procedural pairs: the baseline.

The recipe is ours; schedule, data and seed are those of the aware one.
"""
_base_ = [
    '../_base_/models/flownets_w16-4stage.py',
    '../_base_/datasets/flow_pairs_80x96.py',
    '../_base_/schedules/schedule_flow_5000i_b8.py',
    '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
