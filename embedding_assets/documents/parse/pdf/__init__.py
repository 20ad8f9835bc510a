from embedding_assets.documents.parse.pdf.reader import read_pdf

__all__ = ["read_pdf"]
