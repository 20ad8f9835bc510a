import pytest

from embedding_assets_tests.examples import Example, curl_examples, faults, shown_json

PAGE = """
## One

```bash
curl -s URL
```

It answers

```json
{"a": [1, …], "b": "text …", …}
```

## Two

```bash
embedding-assets serve
```

```bash
curl -s OTHER
```

```yaml
no: answer
```
"""


def test_each_block_with_curl_is_found_with_its_answer():
    assert [*curl_examples(PAGE)] == [
        Example("One", "curl -s URL\n", "json", '{"a": [1, …], "b": "text …", …}\n'),
        Example("Two", "curl -s OTHER\n", None, ""),
    ]


def test_what_was_left_out_is_no_part_of_the_answer():
    assert shown_json('{"a": [1, …], "b": "text …", "c": […], …}') == {
        "a": [1], "b": "text", "c": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("shown", "real", "fault"),
    [
        ({"a": 1}, {"a": 2.5, "b": 3}, None),
        ({"a": None}, {"a": "x"}, None),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}, {}]}, None),
        ({"a": 1}, {}, "answer has no a"),
        ({"a": [1, [2]]}, {"a": []}, None),
        ({"a": [{"b": 1}]}, {"a": []}, "answer.a is empty"),
        ({"a": [{"b": 1}]}, {"a": [{}]}, "answer.a[0] has no b"),
        ({"a": 1}, {"a": "1"}, "answer.a is '1', shown is 1"),
        ({"a": True}, {"a": 1}, "answer.a is 1, shown is True"),
        ({"a": {}}, {"a": []}, "answer.a is [], shown is {}"),
    ],
)
def test_answers_with_other_keys_or_kinds_are_faulty(shown, real, fault):
    assert [*faults(shown, real)] == ([fault] if fault else [])
