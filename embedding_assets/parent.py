"""The end of a process whose parent is gone."""

import os
import signal
import threading
import time
from typing import NoReturn

_CHECK_SECONDS = 1.0


def end_with(parent: int) -> None:
    """End this process group, programs that it started included, within about a second after the
    process `parent`, which started this one as the leader of the group, is gone.

    Not PR_SET_PDEATHSIG: that signal comes when the *thread* that started the process ends.
    """
    threading.Thread(target=_watch, args=(parent,), name="parent", daemon=True).start()


def _watch(parent: int) -> NoReturn:
    while os.getppid() == parent:
        time.sleep(_CHECK_SECONDS)
    os.killpg(0, signal.SIGKILL)
    os._exit(1)
