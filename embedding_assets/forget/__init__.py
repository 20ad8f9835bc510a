"""Makes a document or an account disappear from everything that is stored of it."""

from embedding_assets.forget.accounts import forget_account
from embedding_assets.forget.documents import forget_document
from embedding_assets.forget.receipt import Receipt, Step, receipt_text

__all__ = ["Receipt", "Step", "forget_account", "forget_document", "receipt_text"]
