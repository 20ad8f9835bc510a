import os
import re
import subprocess
import sys

TEXTS = {"texts": ["a"]}


def value(text, name):
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, name
    return float(found[1])


def test_requests_are_counted_by_route_method_and_status(client):
    for body in (TEXTS, TEXTS, {}):
        client.post("/embed", json=body)
    client.get("/people/ann")
    text = client.get("/metrics").text
    counted = 'embedding_assets_requests_total{method="POST",route="/embed",status="%s"}'
    assert value(text, counted % 200) == 2
    assert value(text, counted % 422) == 1
    assert "ann" not in text
    assert value(text, "embedding_assets_requests_in_flight") == 1
    seconds = 'embedding_assets_request_seconds_count{method="POST",route="/embed"}'
    assert value(text, seconds) == 3


def test_batches_and_the_cache_are_counted(client):
    for _ in range(3):
        client.post("/embed", json=TEXTS)
    text = client.get("/metrics").text
    assert value(text, "embedding_assets_batch_texts_sum") >= 1
    assert value(text, 'embedding_assets_query_vectors_total{cache="hit"}') == 2
    assert value(text, 'embedding_assets_query_vectors_total{cache="miss"}') == 1


def test_refusals_by_a_limit_are_counted(open_client):
    client = open_client(requests_per_minute=1)
    for _ in range(4):
        client.post("/embed", json=TEXTS)
    client.app.state.service.limits._counts.clear()
    text = client.app.state.service.metrics.text().decode()
    assert value(text, 'embedding_assets_limited_total{limit="minute"}') >= 2


def test_a_version_that_is_no_longer_served_is_no_series(client):
    metrics = client.app.state.service.metrics
    metrics.index("apps", "1", 5)
    metrics.index("documents", "1", 10)
    metrics.index("documents", "2", 20)
    text = metrics.text().decode()
    rows = [line for line in text.splitlines() if line.startswith("embedding_assets_index_rows{")]
    assert rows == [
        'embedding_assets_index_rows{index="apps",version="1"} 5.0',
        'embedding_assets_index_rows{index="documents",version="2"} 20.0',
    ]


WORKER = """
import sys
from embedding_assets.api.metrics import Metrics
metrics = Metrics()
metrics.began()
metrics.ended("GET", "/x", 200, 0.1)
metrics.began()
for version in ("1", "2", "1", "3"):
    metrics.index("documents", version, 10)
if sys.argv[1] == "show":
    print(metrics.text().decode())
"""


def test_workers_are_counted_together_and_dead_ones_are_not_at_work(tmp_path):
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}

    def work(what):
        command = [sys.executable, "-c", WORKER, what]
        return subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        ).stdout

    work("die")
    text = work("show")
    assert re.findall(r'index_rows{.*version="(.*)"} (.*)', text) == [("3", "10.0")]
    counted = 'embedding_assets_requests_total{method="GET",route="/x",status="200"}'
    assert value(text, counted) == 2
    assert value(text, "embedding_assets_requests_in_flight") == 1
