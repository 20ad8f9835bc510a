import structlog

from embedding_assets.benchmarks import ner
from embedding_assets.benchmarks.__main__ import main


def test_what_is_logged_is_no_part_of_the_results(capsys, monkeypatch):
    def measure(options):
        structlog.get_logger().info("noted")
        print("[]")

    monkeypatch.setattr(ner, "add_options", lambda parser: parser.set_defaults(run=measure))
    assert main(["ner"]) == 0
    told = capsys.readouterr()
    assert told.out == "[]\n"
    assert "noted" in told.err
