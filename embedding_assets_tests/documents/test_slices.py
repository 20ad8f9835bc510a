from dataclasses import replace
from pathlib import Path

import pytest

from embedding_assets.documents.inventory import DocumentEntry
from embedding_assets.documents.limits import Limits
from embedding_assets.documents.slices import ReadingRules
from embedding_assets.storage.slices import Footer, digest_of

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
