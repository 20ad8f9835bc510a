"""python -m embedding_assets.benchmarks NAME: the peers and us, same data and machine, one run."""

import argparse
import sys

from embedding_assets.benchmarks import classify, documents, drift, embed, ner, search, service
from embedding_assets.errors import EmbeddingAssetsError
from embedding_assets.logs import configure_logs


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark that `arguments` name; 0 when it ran, 1 after a named failure."""
    parser = argparse.ArgumentParser(prog="python -m embedding_assets.benchmarks")
    benchmarks = parser.add_subparsers(required=True, metavar="NAME")
    embed.add_options(benchmarks.add_parser("embed", help=embed.__doc__))
    search.add_options(benchmarks.add_parser("search", help=search.__doc__))
    documents.add_options(benchmarks.add_parser("documents", help=documents.__doc__))
    service.add_options(benchmarks.add_parser("service", help=service.__doc__))
    classify.add_options(benchmarks.add_parser("classify", help=classify.__doc__))
    drift.add_options(benchmarks.add_parser("drift", help=drift.__doc__))
    ner.add_options(benchmarks.add_parser("ner", help=ner.__doc__))
    options = parser.parse_args(arguments)
    configure_logs()
    try:
        options.run(options)
    except EmbeddingAssetsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
