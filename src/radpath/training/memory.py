"""Keeps freed memory in the process, instead of giving it back to the system and asking again at every layer."""

import ctypes
import platform

# <malloc.h>: sizes above the first are mapped and unmapped one by one; freed memory above the second is given back.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
_MOST_BYTES = (1 << 31) - 1


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep what is freed; return False where there is another allocator.

    A network on a CPU frees and allocates the same tens of megabytes at every layer. glibc maps each anew, and the
    system clears each page: up to half of the time (``benchmarks/cpu_memory.py``). The price is that memory, once
    used, stays with the process.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_THRESHOLD, 1 << 30)) and bool(mallopt(_TRIM_THRESHOLD, _MOST_BYTES))
