from dataclasses import replace
from pathlib import Path

import pytest

from embedding_assets.documents import reader
from embedding_assets.documents.inventory import DocumentEntry
from embedding_assets.documents.limits import Limits
from embedding_assets.documents.reader import plugged_release
from embedding_assets.documents.slices import ReadingRules
from embedding_assets.storage.slices import Footer, digest_of
from embedding_assets_tests.documents import odd_format

FILE = DocumentEntry("a.pdf", "a.pdf", "pdf", 10, 1, 1, content_sha256="ab" * 32)
RULES = ReadingRules(Path("documents"), passwords=("swordfish",))


def failed(kind, rules=RULES, file=FILE):
    return Footer("a.pdf", "", 1, {"class": kind, "of": rules.failure_digest(file)})


def test_a_file_that_failed_for_good_is_not_read_again_by_the_same_rules():
    assert RULES.is_hopeless(FILE, failed("permanent"))


def test_a_file_that_failed_for_a_passing_reason_or_not_at_all_is_read():
    assert not RULES.is_hopeless(FILE, failed("transient"))
    assert not RULES.is_hopeless(FILE, None)


@pytest.mark.parametrize(
    "rules",
    [
        replace(RULES, passwords=("swordfish", "other")),
        replace(RULES, passwords=()),
        replace(RULES, limits=Limits(cpu_seconds=1)),
        replace(RULES, ocr=False),
    ],
    ids=["another password", "no password", "another limit", "without OCR"],
)
def test_other_rules_may_mend_a_failure(rules):
    assert not rules.is_hopeless(FILE, failed("permanent"))


def test_other_bytes_may_mend_a_failure():
    changed = replace(FILE, content_sha256="cd" * 32)
    assert not RULES.is_hopeless(changed, failed("permanent"))


def test_a_stored_digest_is_not_one_that_passwords_could_be_tried_against_quickly():
    rules = (RULES.passwords, vars(RULES.limits), FILE.error)
    plain = digest_of("quarantined_documents", RULES.document_digest(FILE), rules)
    assert RULES.failure_digest(FILE) != plain


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    yield lambda: odd_format.plug_in(monkeypatch, tmp_path)
    reader._readers.cache_clear()
    plugged_release.cache_clear()


def test_a_new_release_of_a_plugged_in_format_makes_its_documents_stale(tmp_path, plug_in):
    odd = replace(FILE, path="a.ODD")
    unread, ours = RULES.document_digest(odd), RULES.document_digest(FILE)
    digests = {unread}
    plug_in()
    for version in ("1.0", "1.1"):
        metadata = tmp_path / "plugged" / "odd_format-1.0.dist-info" / "METADATA"
        metadata.write_text(f"Metadata-Version: 2.1\nName: odd-format\nVersion: {version}\n")
        plugged_release.cache_clear()
        digests.add(RULES.document_digest(odd))
    assert len(digests) == 3
    assert RULES.document_digest(FILE) == ours
