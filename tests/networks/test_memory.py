from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sgrs_core.networks.memory import ScanMemory, sample_without_replacement


def memory_of(counts: list[int], capacity: int) -> ScanMemory:
    """One class, one scan per count; a vector's number says scan and place: 1000 scan + place."""
    memory = ScanMemory(1, capacity, 1)
    for scan, count in enumerate(counts):
        chosen = memory.choose(torch.ones(count, dtype=torch.bool))
        memory.store(scan, 0, 1000.0 * scan + chosen.unsqueeze(1), count)
    return memory


def drawn(memory: ScanMemory, number: int) -> list[int]:
    return memory.sample(number)[0].flatten().int().tolist()


@given(st.integers(1, 20), st.integers(0, 400))
def test_distinct_numbers_are_distinct_and_in_range(number, more):
    values = sample_without_replacement(number, number + more)
    assert len(values.unique()) == len(values) == number
    assert values.min() >= 0
    assert values.max() < number + more


@pytest.mark.parametrize("total", [10, 100])
def test_distinct_numbers_are_all_as_likely(total):
    torch.manual_seed(0)
    counts = Counter(int(n) for _ in range(2000) for n in sample_without_replacement(5, total))
    expected = 2000 * 5 / total
    assert set(counts) == set(range(total))
    assert all(abs(counts[n] - expected) < 5 * expected**0.5 for n in range(total))


def test_places_are_all_true_ones_in_order_or_a_random_part_of_them():
    mask = torch.tensor([1, 0, 1, 1, 0, 1]).bool()
    assert ScanMemory(1, 4, 1).choose(mask).tolist() == [0, 2, 3, 5]
    few = ScanMemory(1, 2, 1)
    torch.manual_seed(0)
    seen = {frozenset(few.choose(mask).tolist()) for _ in range(100)}
    assert len(seen) == 6  # all pairs of four


def test_a_scans_vectors_replace_those_it_had_and_no_others():
    memory = memory_of([3, 2], capacity=8)
    memory.store(0, 0, torch.tensor([[7.0], [8.0]]), 2)
    assert memory.counts[:, 0].tolist() == [2, 2]
    assert sorted(drawn(memory, 4)) == [7, 8, 1000, 1001]


def test_an_empty_entry_is_allowed_and_a_scan_never_stored_has_none():
    memory = ScanMemory(2, 4, 1)
    memory.store(2, 1, torch.ones(3, 1), 3)
    assert memory.counts.tolist() == [[0, 0], [0, 0], [0, 3]]
    assert memory.sample(3)[0] is None
    memory.store(2, 1, torch.ones(0, 1), 0)
    assert memory.sample(1) == [None, None]


def test_a_class_with_fewer_vectors_than_asked_for_is_absent():
    memory = memory_of([2, 1], capacity=4)
    assert len(memory.sample(3)[0]) == 3
    assert memory.sample(4) == [None]


def test_no_vector_is_drawn_twice():
    memory = memory_of([50, 3, 9], capacity=8)
    for _ in range(50):
        values = drawn(memory, 8)
        assert len(set(values)) == 8


def test_draws_are_as_likely_as_from_whole_entries_though_a_part_is_kept():
    torch.manual_seed(0)
    scans: Counter[int] = Counter()
    places: Counter[int] = Counter()
    for _ in range(1500):
        values = drawn(memory_of([60, 4, 16], capacity=4), 4)
        scans.update(value // 1000 for value in values)
        places.update(value for value in values if value < 1000)
    for scan, share in enumerate((60 / 80, 4 / 80, 16 / 80)):
        assert scans[scan] / 6000 == pytest.approx(share, abs=0.02)
    assert set(places) == set(range(60))
    expected = sum(places.values()) / 60
    assert all(abs(count - expected) < 5 * expected**0.5 for count in places.values())


def test_successive_draws_take_different_ones_of_the_kept_part():
    memory = memory_of([60, 60], capacity=6)
    seen = {value for _ in range(60) for value in drawn(memory, 4)}
    assert len(seen) == 12


def test_more_than_the_capacity_cannot_be_drawn():
    with pytest.raises(ValueError, match="number = 5: allowed are at most capacity = 4"):
        memory_of([9], capacity=4).sample(5)


def test_a_state_of_any_number_of_scans_can_be_loaded():
    stored, fresh, larger = memory_of([9, 2], 4), ScanMemory(1, 4, 1), memory_of([1, 1, 1], 4)
    for memory in (fresh, larger):
        memory.load_state_dict(stored.state_dict())
        assert torch.equal(memory.vectors, stored.vectors)
        assert torch.equal(memory.counts, stored.counts)
    larger.store(0, 0, torch.zeros(1, 1), 1)
    assert stored.counts[0, 0] == 9


def test_a_memory_follows_the_memory_format_of_its_method():
    memory_of([3], 4).to(memory_format=torch.channels_last_3d)
