"""Ways to spoil a version of an index."""

import json


def flip_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x01
    path.write_bytes(content)


def edit_manifest(folder, **changes):
    """Change entries of a manifest; None as a change is null."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def without_hashes(folder):
    """As it was built before hashes were kept."""
    path = folder / "manifest.json"
    entry = json.loads(path.read_text())
    del entry["files"]
    path.write_text(json.dumps(entry))


SHAPES = ["", "null", "[]", "{}", "7", "[" * 5000 + "]" * 5000, '{"code": "1", "x": NaN}']
"""What a manifest may hold that is none."""
