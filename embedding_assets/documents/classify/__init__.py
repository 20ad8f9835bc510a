"""Which category a text belongs to: learnt from labelled texts, or from descriptions alone."""
