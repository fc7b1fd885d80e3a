"""The first lines of programs that measure their own peak of memory.

``ru_maxrss`` starts at the size of the process that started the program, so that
under a large pytest a small peak would never show; this is the process's own.
"""

PEAK_MEMORY = r"""
import re

def status(name):
    return int(re.search(name + r':\s+(\d+) kB', open('/proc/self/status').read())[1])

def start_peak():
    try:
        open('/proc/self/clear_refs', 'w').write('5')  # the peak so far is forgotten
    except OSError:
        pass
    return status('VmRSS')

def peak_mb(start):
    return (status('VmHWM') - start) / 1024
"""
