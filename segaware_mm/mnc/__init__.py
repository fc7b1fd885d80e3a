"""Multi-task network cascades (Dai, He, Sun, CVPR 2016)."""
