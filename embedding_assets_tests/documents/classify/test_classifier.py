from pathlib import Path

import numpy as np
import pytest

from embedding_assets.apps.model_files import read_files, write_files
from embedding_assets.benchmarks.classify import few_of_each, measure
from embedding_assets.documents.classify.classifier import DocumentClassifier
from embedding_assets.documents.classify.evaluation import Evaluation
from embedding_assets.documents.classify.label_files import read_table
from embedding_assets.documents.classify.labels import Category, LabelledRow, LabelledTexts
from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.embedding.model import DEFAULT_MODEL, resolve_model
from embedding_assets.embedding.transformer import BERT, build_encoder
from embedding_assets.errors import InputError, StoreDamagedError

SHARED = Path(__file__).parents[4] / "shared" / "data"
ENCODER = HashingEncoder(dimension=64)
WORDS = {
    "food": "soup cake bread oven spoon salt pepper fry bake plate",
    "law": "court judge contract clause party appeal sue statute plea brief",
    "sport": "ball goal team match race run score coach league cup",
}
SHARED_WORDS = "the a of and for with one two three many".split()


def embed(texts):
    return ENCODER.encode(texts).vectors


def sentences(category, count, seed=0):
    generator = np.random.default_rng([seed, *category.encode()])
    own = WORDS[category].split()
    words = ([*generator.choice(own, 2), *generator.choice(SHARED_WORDS, 5)] for _ in range(count))
    return [" ".join(each) for each in words]


def labelled(counts, described=()):
    rows = [
        LabelledRow(text, category)
        for category, count in counts.items()
        for text in sentences(category, count)
    ]
    return LabelledTexts.from_rows(rows, described)


def fit(counts, described=(), **options):
    return DocumentClassifier.fit(labelled(counts, described), embed, "model", **options)


@pytest.fixture(scope="module")
def classifier():
    return fit({"food": 40, "law": 40, "sport": 40})


def accuracy(classifier, count=50):
    hits = []
    for category in WORDS:
        texts = sentences(category, count, seed=1)
        found = classifier.classify(texts, embed(texts))
        hits += [each.best == category for each in found]
    return np.mean(hits)


def test_unseen_texts_get_their_category(classifier):
    assert accuracy(classifier) > 0.9
    assert classifier.way == "labels"


def test_what_is_told_of_unseen_texts_holds_for_others(classifier):
    told = classifier.evaluation["labels"]
    assert abs(told.accuracy - accuracy(classifier, 200)) < 0.06
    assert told.texts == len(labelled({"food": 40, "law": 40, "sport": 40}).texts)
    assert {each.category for each in told.categories} == set(WORDS)
    assert "descriptions" in classifier.evaluation


def test_probabilities_sum_to_one_and_rank_the_categories(classifier):
    texts = sentences("law", 20, seed=2)
    assert np.allclose(classifier.probabilities(texts, embed(texts)).sum(axis=1), 1)
    [first, *_] = classifier.classify(texts, embed(texts))
    chances = [chance for _, chance in first.ranked]
    assert chances == sorted(chances, reverse=True)
    assert first.ranked[0] == (first.best, first.probability)


def test_the_least_probable_texts_get_no_category():
    classifier = fit({"food": 40, "law": 40, "sport": 40}, abstain=0.2)
    assert 0.19 <= classifier.evaluation["labels"].abstained <= 0.22
    texts = ["the a of and for", "judge contract court appeal"]
    unclear, clear = classifier.classify(texts, embed(texts))
    assert unclear.category is None
    assert unclear.best in WORDS
    assert (clear.category, clear.best) == ("law", "law")


def test_the_same_texts_give_the_same_classifier(classifier):
    again = fit({"food": 40, "law": 40, "sport": 40})
    assert again.weights == classifier.weights
    assert again.threshold == classifier.threshold
    for name, each in again.linear.items():
        assert np.array_equal(each.coefficients, classifier.linear[name].coefficients)


def test_what_was_saved_classifies_the_same(classifier, tmp_path):
    classifier.save(tmp_path)
    loaded = DocumentClassifier.load(tmp_path)
    texts = sentences("food", 20, seed=3)
    assert loaded.classify(texts, embed(texts)) == classifier.classify(texts, embed(texts))
    assert loaded.figures() == classifier.figures()
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".npz"]


def test_a_classifier_from_before_there_were_priors_is_still_read(classifier, tmp_path):
    classifier.save(tmp_path)
    about, arrays = read_files(tmp_path, "classifier", "1")
    del about["prior"]
    write_files(tmp_path, "classifier", {**about, "format": "1"}, arrays)
    loaded = DocumentClassifier.load(tmp_path)
    assert loaded.figures() == classifier.figures()
    assert loaded.prior.tolist() == [0, 0, 0]


def test_a_changed_file_is_named(classifier, tmp_path):
    classifier.save(tmp_path)
    about = tmp_path / "classifier.json"
    about.write_text(about.read_text().replace('"law"', '"lore"'))
    with pytest.raises(StoreDamagedError, match="Fit the model again"):
        DocumentClassifier.load(tmp_path)


def test_vectors_of_another_model_are_refused(classifier):
    with pytest.raises(InputError, match="64 dimensions"):
        classifier.classify(["soup"], np.zeros((1, 32), dtype=np.float32))


def test_a_category_with_one_example_is_learnt_and_not_judged():
    classifier = fit({"food": 20, "law": 20, "sport": 1})
    told = {each.category: each.texts for each in classifier.evaluation["labels"].categories}
    assert told["sport"] == 0
    [text] = sentences("sport", 1)
    [found] = classifier.classify([text], embed([text]))
    assert dict(found.ranked)["sport"] > 0.1


def test_one_example_of_each_is_enough_to_begin_and_is_not_judged():
    classifier = fit({"food": 1, "law": 1, "sport": 1})
    assert classifier.evaluation == {}
    assert classifier.threshold == pytest.approx(3**-0.5)
    texts = [sentences(category, 1)[0] for category in WORDS]
    assert [each.best for each in classifier.classify(texts, embed(texts))] == [*WORDS]


def test_a_described_category_without_examples_is_learnt_from_its_description():
    classifier = fit({"food": 10, "law": 10}, [Category("sport", WORDS["sport"])])
    texts = [WORDS["sport"], WORDS["food"]]
    near, far = (dict(each.ranked)["sport"] for each in classifier.classify(texts, embed(texts)))
    assert near > 5 * far


def test_texts_of_one_category_alone_tell_nothing_apart():
    classifier = fit({"food": 20}, [Category(name, words) for name, words in WORDS.items()])
    assert (classifier.way, classifier.evaluation) == ("descriptions", {})
    assert accuracy(classifier) > 0.8


@pytest.mark.parametrize("count", [2, 3])
def test_by_descriptions_a_text_between_two_categories_gets_none(count):
    described = [Category(name, words) for name, words in [*WORDS.items()][:count]]
    classifier = DocumentClassifier.fit(LabelledTexts.from_rows([], described), embed, "model")
    texts = [f"{WORDS['food']} {WORDS['law']}", *(each.description for each in described)]
    found = classifier.classify(texts, embed(texts))
    assert [each.category for each in found] == [None, *(each.name for each in described)]


def test_nothing_is_judged_unless_two_categories_have_two_texts():
    classifier = fit({"food": 20, "law": 1}, [Category("sport", WORDS["sport"])])
    assert (classifier.way, classifier.evaluation) == ("labels", {})
    assert "accuracy" not in classifier.figures()


def test_a_description_stands_for_as_many_texts_as_others_have():
    classifier = fit({"food": 10, "law": 30}, [Category("sport", WORDS["sport"])])
    assert np.exp(classifier.prior) == pytest.approx([1, 1, 20], rel=0.1)


def test_what_is_learnt_from_a_sample_is_as_good_as_is_told():
    generator = np.random.default_rng(0)
    own = {name: words.split() for name, words in WORDS.items()}
    mixed = [*own["food"], *own["law"], *SHARED_WORDS]

    def drawn(count):
        for number in range(count):
            label = "law" if generator.random() < 0.02 else "food"
            words = [*generator.choice(own[label], 2), *generator.choice(mixed, 5), str(number)]
            yield LabelledRow(" ".join(words), label)

    learnt = LabelledTexts.from_rows(drawn(10_000), most=500)
    assert len(learnt.texts) <= 500
    classifier = DocumentClassifier.fit(learnt, embed, "model")
    other = LabelledTexts.whole(drawn(5_000), learnt.categories)
    chances = classifier.probabilities(other.texts, embed(other.texts))
    real = Evaluation.of(classifier.category_names, other.labels, chances, classifier.threshold)
    told = classifier.evaluation["labels"]
    assert told.accuracy == pytest.approx(real.accuracy, abs=0.015)
    assert told.abstained == pytest.approx(real.abstained, abs=0.04)
    assert real.accuracy > 0.97
    assert real.ece < 0.01


def test_names_and_descriptions_alone_work():
    described = [Category(name, words) for name, words in WORDS.items()]
    classifier = fit({}, described)
    assert classifier.way == "descriptions"
    assert classifier.evaluation == {}
    assert accuracy(classifier) > 0.8


def test_a_text_without_words_gets_no_category(classifier):
    for text in ("", "   "):
        [found] = classifier.classify([text], embed([text]))
        assert found.category is None
    assert classifier.classify([], embed(["x"])[:0]) == []


def test_texts_without_any_word_are_told_apart_by_vectors():
    rows = [LabelledRow(sign * n, sign) for sign in "!?" for n in range(1, 9)]
    labels = LabelledTexts.from_rows(rows)
    assert "words" not in DocumentClassifier.fit(labels, embed, "model").linear


def test_rare_categories_are_found_among_many_of_another():
    classifier = fit({"food": 300, "law": 12, "sport": 6})
    found = {each.category: each.recall for each in classifier.evaluation["labels"].categories}
    assert found["food"] > 0.95
    assert found["law"] > 0.5


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs shared/data beside the checkout")
def test_banking_questions_are_told_apart_better_than_by_words_alone(tmp_path):
    layout = resolve_model(DEFAULT_MODEL, tmp_path).layout
    encoder = build_encoder(layout, "float32", BERT, "fingerprint")
    train, test = (
        [row for row in read_table(SHARED / "banking77" / name) if row.label < "card_p"]
        for name in ("train.csv", "test.csv")
    )
    learnt = few_of_each(LabelledTexts.from_rows(train), 3, seed=0)
    ours, peer, names = measure(learnt, LabelledTexts.whole(test[::3], learnt.categories), encoder)
    assert ours.macro_f1 > peer.macro_f1 + 0.1
    assert ours.macro_f1 > names.macro_f1
