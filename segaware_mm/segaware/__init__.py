"""Segmentation-aware convolution (Harley, Derpanis, Kokkinos, ICCV 2017)."""
