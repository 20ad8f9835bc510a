import pytest
from scipy.stats import chi2_contingency, chisquare

from embedding_assets.experiments.assignment import (
    Assigner,
    bounds_of,
    outcome_key,
    reserve,
    size,
    unit_key,
)
from embedding_assets.experiments.plan import SLOTS

UNITS = [f"user-{number}" for number in range(20_000)]
ALL = ((0, SLOTS),)


def assigner(salt=b"one", weights=(1, 1), slots=ALL, layer=b"page"):
    return Assigner(layer, slots, salt, bounds_of(weights))


def counts(assigned, variants):
    return [assigned.count(variant) for variant in range(variants)]


class TestBounds:
    def test_bounds_share_out_all_hashes_by_the_weights(self):
        assert bounds_of([70, 30]) == (70 * 2**64 // 100,)
        assert bounds_of([1, 1, 2]) == (2**62, 2**63)

    def test_one_variant_has_no_bounds(self):
        assert bounds_of([5]) == ()

    def test_scaled_weights_are_the_same_split(self):
        assert bounds_of([7, 3]) == bounds_of([70, 30])


class TestAssigner:
    @pytest.mark.parametrize(
        "weights", [(1, 1), (70, 30), (1, 2, 3, 4), (99, 1), tuple([1] * 20)], ids=str
    )
    def test_units_are_split_as_the_weights_say(self, weights):
        split = assigner(weights=weights)
        found = counts([split.variant(unit) for unit in UNITS], len(weights))
        expected = [weight * len(UNITS) / sum(weights) for weight in weights]
        assert chisquare(found, expected).pvalue > 0.001

    def test_a_unit_gets_the_same_variant_in_every_process(self):
        split = assigner(weights=[1] * 100)
        units = ("user-1", "user-2", "üser", "user-4", "\ud800", "user-6")
        assert [split.variant(unit) for unit in units] == [65, 11, 11, 16, 67, 93]

    def test_experiments_of_other_salts_are_independent(self):
        one, other = assigner(b"one"), assigner(b"two", (1, 2))
        table = [[0, 0], [0, 0]]
        for unit in UNITS:
            table[one.variant(unit)][other.variant(unit)] += 1
        assert chi2_contingency(table).pvalue > 0.001

    def test_the_variant_is_independent_of_the_place_in_the_layer(self):
        part, rest = assigner(slots=((0, 3_000),)), assigner(slots=((3_000, SLOTS),))
        table = [
            counts([found for unit in UNITS if (found := each.variant(unit)) is not None], 2)
            for each in (part, rest)
        ]
        assert chi2_contingency(table).pvalue > 0.001
        assert chisquare([sum(row) for row in table], [6_000, 14_000]).pvalue > 0.001

    def test_experiments_of_a_layer_exclude_each_other(self):
        one, other = (
            assigner(b"one", slots=((0, 4_000),)),
            assigner(b"two", slots=((4_000, SLOTS),)),
        )
        for unit in UNITS:
            assert (one.variant(unit) is None) != (other.variant(unit) is None)

    def test_layers_are_independent_of_each_other(self):
        one, other = assigner(slots=((0, 5_000),)), assigner(slots=((0, 5_000),), layer=b"mail")
        table = [[0, 0], [0, 0]]
        for unit in UNITS:
            table[one.variant(unit) is None][other.variant(unit) is None] += 1
        assert chi2_contingency(table).pvalue > 0.001

    def test_a_larger_share_keeps_every_unit_and_its_variant(self):
        small, large = assigner(slots=((0, 1_000),)), assigner(slots=((0, 1_000), (7_000, 9_000)))
        before = {unit: found for unit in UNITS if (found := small.variant(unit)) is not None}
        assert before == {unit: large.variant(unit) for unit in before}
        assert sum(large.variant(unit) is not None for unit in UNITS) > 2 * len(before)


class TestReserve:
    def test_the_first_free_slots_are_taken(self):
        assert reserve(3_000, []) == ((0, 3_000),)
        assert reserve(3_000, [((0, 2_000), (4_000, 5_000))]) == ((2_000, 4_000), (5_000, 6_000))

    def test_own_slots_stay(self):
        assert reserve(3_000, [((0, 500),)], ((2_000, 3_000),)) == ((500, 3500),)
        assert reserve(1_000, [], ((2_000, 3_000),)) == ((2_000, 3_000),)

    def test_the_last_slot_can_be_had(self):
        taken = ((0, SLOTS - 1),)
        assert reserve(1, [taken]) == ((SLOTS - 1, SLOTS),)
        assert reserve(2, [taken]) is None

    def test_slots_of_several_experiments_are_left_alone(self):
        taken = [((0, 100),), ((300, SLOTS),)]
        assert reserve(200, taken) == ((100, 300),)
        assert reserve(201, taken) is None

    def test_size_counts_all_ranges(self):
        assert size(((0, 3), (10, 12))) == 5


class TestKeys:
    def test_keys_say_nothing_without_the_salt(self):
        assert unit_key(b"salt", "anna@example.org") != unit_key(b"other", "anna@example.org")
        assert outcome_key(b"salt", "click-1") != outcome_key(b"other", "click-1")

    def test_keys_fit_into_the_database(self):
        assert all(-(2**63) <= unit_key(b"salt", unit) < 2**63 for unit in UNITS[:1_000])
        assert len(outcome_key(b"salt", "click-1")) == 16
