from embedding_assets_tests.defs.conftest import inside  # noqa: F401
from embedding_assets_tests.integration.conftest import (  # noqa: F401
    graph,
    model,
    pinned,
    registered,
)
