"""Optical flow with plain or segmentation-aware convolutions.

The second task of Harley, Derpanis, Kokkinos (ICCV 2017). The network follows
FlowNetS of Dosovitskiy et al., "FlowNet: Learning Optical Flow with
Convolutional Networks", ICCV 2015.
"""
