"""Fails when a test was skipped for want of ../shared/data."""

import sys
import xml.etree.ElementTree as ElementTree

report = ElementTree.parse(sys.argv[1])
skipped = [
    f"{case.get('classname')}::{case.get('name')}"
    for case in report.iter("testcase")
    for skip in case.iter("skipped")
    if "shared" in (skip.get("message") or "")
]
if skipped:
    sys.exit("Skipped for want of ../shared/data:\n  " + "\n  ".join(skipped))
