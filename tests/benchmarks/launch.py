"""Runs a command, and prints the CPU seconds that it took and the most memory that it had, in MiB.

It is a process of its own because a child is said to have had at least the memory of the one that started it.
"""

import os
import sys

child = os.posix_spawn(
    sys.argv[1],
    sys.argv[1:],
    os.environ,
    file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
)
_, status, used = os.wait4(child, 0)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
sys.exit(os.waitstatus_to_exitcode(status))
