"""Fails when tests were skipped for want of something that CI has: ../shared/data, a browser."""

import sys
import xml.etree.ElementTree as ElementTree

WANTED = ("shared", "chromium")

report = ElementTree.parse(sys.argv[1])
skipped = [
    f"{case.get('classname')}::{case.get('name')}: {skip.get('message')}"
    for case in report.iter("testcase")
    for skip in case.iter("skipped")
    if any(word in (skip.get("message") or "") for word in WANTED)
]
if skipped:
    sys.exit("Skipped for want of ../shared/data or of a browser:\n  " + "\n  ".join(skipped))
