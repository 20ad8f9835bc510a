from embedding_assets import ingest_document

doc_id = "12345"
ingest_document(doc_id)
