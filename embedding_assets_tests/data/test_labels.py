from embedding_assets.documents.classify.label_files import LabelFiles
from embedding_assets.documents.classify.labels import LabelledTexts
from generate_data import main


def test_sample_labels_can_be_learnt_from(tmp_path, capsys):
    assert main(["--labels", str(tmp_path / "labels")]) == 0
    assert "60 texts of 6 categories" in capsys.readouterr().out
    files = LabelFiles(tmp_path / "labels")
    labelled = LabelledTexts.from_rows(files.rows(lambda paths: {}), files.described())
    assert len(labelled.texts) == 60
    assert all(each.description for each in labelled.categories)
    assert labelled.notes.merged == {}


def test_a_file_in_place_of_the_folder_is_refused(tmp_path, capsys):
    (tmp_path / "labels").write_text("")
    try:
        main(["--labels", str(tmp_path / "labels")])
    except SystemExit as end:
        assert end.code == 2
    assert "is a file" in capsys.readouterr().err
