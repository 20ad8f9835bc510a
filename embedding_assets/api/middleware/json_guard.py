"""What is dangerous in JSON, found before it is parsed."""

import re

import numpy as np

MAX_DEPTH = 32
# Never backtracks, and ends at the text's end when a quote is missing: linear on any input.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NOT_FINITE = re.compile(rb"NaN|Infinity")
_STEP = np.zeros(256, dtype=np.int8)
_STEP[[ord("["), ord("{")]] = 1
_STEP[[ord("]"), ord("}")]] = -1


def fault_in(body: bytes) -> str | None:
    """What is wrong with a JSON text, in words: nested too deep, or NaN, which is no JSON; None
    when neither is so. Whether it is valid otherwise is for its parser to say."""
    bare = _STRING.sub(b'""', body)
    if _NOT_FINITE.search(bare):
        return "The body holds NaN or an infinity, which are no JSON."
    steps = _STEP[np.frombuffer(bare, dtype=np.uint8)]
    if np.cumsum(steps, dtype=np.int32).max(initial=0) > MAX_DEPTH:
        return f"The body is nested deeper than {MAX_DEPTH} levels."
    return None
