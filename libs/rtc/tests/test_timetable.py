from roomful_rtc.timetable import Timetable


class Owner:
    def __init__(self, name: str, order: list[str]) -> None:
        self.name, self.order = name, order

    def on_time(self, now: float) -> None:
        self.order.append(self.name)


def run(table: Timetable, now: float) -> None:
    for owner in table.take(now):
        owner.on_time(now)


def test_owners_are_called_in_order_of_time():
    table, order = Timetable(), list[str]()
    table.set(Owner("late", order), 3.0)
    table.set(Owner("early", order), 1.0)

    run(table, 5.0)

    assert order == ["early", "late"]
    assert table.next_due() is None


def test_nothing_is_called_before_its_time():
    table, order = Timetable(), list[str]()
    table.set(Owner("a", order), 2.0)

    run(table, 1.9)

    assert order == []
    assert table.next_due() == 2.0


def test_setting_again_replaces_the_entry():
    table, order = Timetable(), list[str]()
    owner = Owner("a", order)
    table.set(owner, 1.0)
    table.set(owner, 4.0)

    run(table, 2.0)
    assert order == []
    run(table, 4.0)

    assert order == ["a"]
    assert len(table) == 0


def test_setting_none_removes_the_entry():
    table, order = Timetable(), list[str]()
    owner = Owner("a", order)
    table.set(owner, 1.0)
    table.set(owner, None)

    run(table, 9.0)

    assert order == []
    assert table.next_due() is None


def test_an_owner_that_sets_itself_to_now_waits_for_the_next_call():
    table, order = Timetable(), list[str]()

    class Again(Owner):
        def on_time(self, now: float) -> None:
            super().on_time(now)
            table.set(self, now)

    table.set(Again("a", order), 1.0)

    run(table, 1.0)
    assert order == ["a"]
    run(table, 1.0)

    assert order == ["a", "a"]


def test_an_owner_removed_by_another_is_not_called():
    table, order = Timetable(), list[str]()
    second = Owner("second", order)

    class First(Owner):
        def on_time(self, now: float) -> None:
            table.set(second, None)

    table.set(First("first", order), 1.0)
    table.set(second, 2.0)

    run(table, 3.0)

    assert order == []


def test_replaced_entries_do_not_pile_up():
    table, order = Timetable(), list[str]()
    owner = Owner("a", order)

    for step in range(10_000):
        table.set(owner, 1e6 - step)

    assert len(table._heap) <= 65
    assert table.next_due() == 1e6 - 9999
