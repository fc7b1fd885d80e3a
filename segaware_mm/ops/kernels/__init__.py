"""Fast kernels, imported lazily by :mod:`segaware_mm.ops` and by nobody else.

``*_numba`` run on the CPU, ``region_torch`` on any device. A CUDA (Triton)
kernel gets its name in ``region_attention.IMPLEMENTATIONS`` and its preference
in ``implementation.choose``.
"""
