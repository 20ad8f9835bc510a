"""Where below a folder a word still stands, in whatever way a file holds it."""

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq


def traces(root, *words):
    """The files that hold one of the words: as they are, decompressed, or as a table's rows."""
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and any(word in content(path) for word in words)
    )


def content(path):
    return "\n".join([path.read_bytes().decode("latin-1"), *unpacked(path)])


def unpacked(path):
    if path.suffix == ".parquet":
        yield repr(pq.read_table(path).to_pylist())
        yield repr(pq.read_schema(path).metadata)
    elif path.suffix == ".arrow":
        with pa.memory_map(str(path)) as file:
            yield repr(pa.ipc.open_file(file).read_all().to_pylist())
    elif path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as connection:
            query = "SELECT schema_name, table_name FROM duckdb_tables()"
            for schema, table in connection.execute(query).fetchall():
                rows = connection.execute(f'FROM "{schema}"."{table}"').fetchall()
                yield repr(rows)
