"""FlowNetS with plain convolutions on procedural pairs: the baseline.

The recipe is ours; schedule, data and seed are those of the aware one.
"""
_base_ = [
    '../_base_/models/flownets_w16-5stage.py',
    '../_base_/datasets/flow_pairs_128x160.py',
    '../_base_/schedules/schedule_flow_600i_b8.py',
    '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
