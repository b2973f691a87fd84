"""What the converting child gives up before it sees a byte of a stranger's file.

It may open nothing, connect to nothing, become or start no other program, and use only so much memory and time. What is
already open and imported is all that it has: one socket. Sources: landlock(7), setrlimit(2), prctl(2).
"""

import ctypes
import os
import resource
import threading
from concurrent.futures import ThreadPoolExecutor

MEMORY_BYTES = 1 << 30  # of addresses, not of what is really used; a conversion on two threads takes a third
THREAD_BYTES = 128 << 20  # of these, for each further thread
ENCODING_NICENESS = 5  # who reads, decodes and stores goes first: encoding would wait for them in the end
_PR_SET_NO_NEW_PRIVS = 38
_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # system calls; the same on all architectures
_VERSION_FLAG = 1
# Every right that a version of Landlock knows: to files, to TCP ports, to other processes' sockets and signals.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}  # how many, from that version on
_NET_RIGHTS, _NET_SINCE = 2, 4
_SCOPES, _SCOPES_SINCE = 2, 6


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class CageError(OSError):
    """The kernel refused what it should grant to anyone."""


def landlock_version() -> int:
    """The version of Landlock that this kernel has; 0 without one."""
    version: int = ctypes.CDLL(None).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)
    return max(0, version)


def in_force() -> dict[str, object]:
    """What the cage consists of on this machine, for the log."""
    version = landlock_version()
    shut = {"files": version >= 1, "tcp": version >= _NET_SINCE, "signals": version >= _SCOPES_SINCE}
    return {
        "landlock": version,
        **shut,
        "no_new_privs": True,
        "memory_bytes": MEMORY_BYTES,
        "processes": os.geteuid() != 0,
    }


def enter(threads: int, cpu_seconds: float) -> ThreadPoolExecutor:
    """Locks this process in; from then on it has only this thread and those of the pool that comes back."""
    pool = ThreadPoolExecutor(threads, "encode", initializer=_begin_to_encode)
    everyone = threading.Barrier(threads + 1)
    for _ in range(threads):
        pool.submit(everyone.wait)
    everyone.wait()
    _lock_in()
    seconds = int(cpu_seconds)
    memory = MEMORY_BYTES + (threads - 1) * THREAD_BYTES
    for limit, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_NPROC, 0),  # no help against root, which a pod's programs are not
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    return pool


def _begin_to_encode() -> None:
    os.nice(ENCODING_NICENESS)  # of this thread alone
    _lock_in()


def _lock_in() -> None:
    # Both hold for a thread, not for its process.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise CageError(ctypes.get_errno(), "no_new_privs")
    if version := landlock_version():
        rights = _Ruleset(
            (1 << max(count for since, count in _FILE_RIGHTS.items() if since <= version)) - 1,
            (1 << _NET_RIGHTS) - 1 if version >= _NET_SINCE else 0,
            (1 << _SCOPES) - 1 if version >= _SCOPES_SINCE else 0,
        )
        known = 8 * (1 + (version >= _NET_SINCE) + (version >= _SCOPES_SINCE))
        ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(rights), ctypes.c_size_t(known), 0)
        if ruleset < 0 or libc.syscall(_RESTRICT_SELF, ruleset, 0):
            raise CageError(ctypes.get_errno(), "Landlock")
        os.close(ruleset)
