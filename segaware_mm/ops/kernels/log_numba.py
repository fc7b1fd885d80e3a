"""Logarithms of a row of numbers, in vector instructions for float32.

numba without a vector maths library calls the scalar logarithm, about twenty
cycles each. In float32 we split x = 2^e m with m in [sqrt(1/2), sqrt(2)) by
integer arithmetic and use ln m = 2 artanh(s), s = (m - 1) / (m + 1), whose
series needs five terms (|s| < 0.172, so the next one is below 3e-9); the error
is below 2e-7. float64 keeps the library's logarithm.
"""

import math

import numpy as np
from numba import njit, types
from numba.extending import overload

LN2 = np.float32(math.log(2.))
SQRT_HALF_BITS = np.int32(0x3f3504f3)
C1, C3, C5, C7, C9 = (np.float32(2 / k) for k in (1, 3, 5, 7, 9))


def _log_rows(source: np.ndarray, out: np.ndarray, bits: np.ndarray) -> None:
    """Write ln(source) to out; ``bits`` is int32 scratch of the same length."""
    raise NotImplementedError('compiled code only')


@overload(_log_rows, jit_options=dict(error_model='numpy'))
def _overload_log_rows(source, out, bits):
    if source.dtype == types.float32:

        def single(source, out, bits):
            raw = source.view(np.int32)
            mantissa = bits.view(np.float32)
            for k in range(raw.shape[0]):
                exponent = np.int32((raw[k] - SQRT_HALF_BITS) >> 23)
                bits[k] = np.int32(raw[k] - np.int32(exponent << 23))
                out[k] = np.float32(exponent)
            for k in range(raw.shape[0]):
                s = (mantissa[k] - C1 / 2) / (mantissa[k] + C1 / 2)
                z = s * s
                series = C1 + z * (C3 + z * (C5 + z * (C7 + z * C9)))
                out[k] = out[k] * LN2 + s * series

        return single

    def double(source, out, bits):
        for k in range(source.shape[0]):
            out[k] = math.log(source[k])

    return double


@njit(cache=True, nogil=True, error_model='numpy')
def log_rows(source, out, bits):
    """Write the natural logarithm of every (positive, normal) element to out.

    Args:
        source: 1-D contiguous float32 or float64 array.
        out: Array like source.
        bits: int32 scratch at least as long as source.
    """
    _log_rows(source, out, bits)
