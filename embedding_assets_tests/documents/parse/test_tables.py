from embedding_assets.documents.parse.tables import markdown_table


def test_rows_are_markdown_lines_below_a_header():
    assert markdown_table([["a", "b"], ["c", "d"]]) == "| a | b |\n| --- | --- |\n| c | d |"


def test_short_rows_are_filled_up():
    assert markdown_table([["a"], ["c", "d"]]) == "| a |  |\n| --- | --- |\n| c | d |"


def test_a_cell_stays_one_cell():
    assert markdown_table([["a|b\n c\t"]]) == "| a\\|b c |\n| --- |"


def test_a_table_without_text_is_empty():
    assert markdown_table([["", " \n"], [""]]) == markdown_table([]) == ""
