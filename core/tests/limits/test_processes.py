"""Ours are the server, what is watched, and every descendant; nothing else."""

import pytest

from roomful.limits.processes import REREAD_EVERY, ProcessTable, parse_stat

from .proc_tree import ProcTree

MAIN = 100


@pytest.fixture
def tree(tmp_path) -> ProcTree:
    tree = ProcTree(tmp_path)
    tree.spawn(1, 0)
    tree.spawn(MAIN, 1, session=50)
    return tree


@pytest.fixture
def table(tree) -> ProcessTable:
    return ProcessTable(MAIN, tree.proc)


def test_descendants_of_any_depth_are_found_in_any_order_of_pids(tree, table):
    tree.spawn(300, MAIN)
    tree.spawn(20, 300)
    tree.spawn(200, 20)
    tree.spawn(60, 1)

    assert table.read(()).keys() == {MAIN, 300, 20, 200}


def test_children_that_come_later_are_found(tree, table):
    table.read(())
    tree.spawn(7, MAIN)
    table.read(())
    tree.spawn(8, 7)

    assert table.read(()).keys() == {MAIN, 7, 8}


def test_orphan_stays_ours(tree, table):
    tree.spawn(7, MAIN)
    tree.spawn(8, 7)
    table.read(())
    tree.end(7)

    assert table.read(())[8].parent == 1


def test_orphan_nobody_saw_before_is_known_by_its_session(tree, table):
    tree.spawn(7, MAIN)
    tree.spawn(8, 7, session=7)
    tree.spawn(9, 8, session=7)
    tree.end(8)

    assert table.read(()).keys() == {MAIN, 7, 9}


def test_session_of_the_shell_that_started_the_server_is_not_ours(tree, table):
    tree.spawn(50, 1)
    tree.spawn(60, 50, session=50)

    assert table.read(()).keys() == {MAIN}


def test_pid_used_again_is_not_ours(tree, table):
    tree.spawn(7, MAIN)
    table.read(())
    tree.end(7)
    tree.spawn(7, 1)

    assert table.read(()).keys() == {MAIN}


def test_pid_of_another_used_again_by_ours_is_found_in_time(tree, table):
    tree.spawn(60, 1)
    table.read(())
    tree.end(60)
    tree.spawn(60, MAIN)

    for _ in range(REREAD_EVERY):
        family = table.read(())

    assert family.keys() == {MAIN, 60}


def test_watched_stranger_comes_with_its_children(tree, table):
    tree.spawn(60, 1)
    tree.spawn(61, 60)
    assert table.read(()).keys() == {MAIN}

    assert table.read({60}).keys() == {MAIN, 60, 61}


def test_watched_process_that_is_gone_is_left_out(table):
    assert table.read({60}).keys() == {MAIN}


def test_file_that_is_no_process_is_left_out(tree, table):
    for pid, text in ((7, ""), (8, "8 (x) S"), (9, "9 (x) S a b")):
        (tree.proc / str(pid)).mkdir()
        (tree.proc / str(pid) / "stat").write_text(text)

    assert table.read(()).keys() == {MAIN}


def test_machine_without_proc_is_an_error(tmp_path):
    with pytest.raises(OSError, match="missing"):
        ProcessTable(MAIN, tmp_path / "missing").read(())


def test_strangers_are_read_once(tree, table, monkeypatch):
    for pid in range(1000, 1050):
        tree.spawn(pid, 1)
    table.read(())
    reads: list[int] = []
    monkeypatch.setattr(
        table, "_stat", lambda pid, read=table._stat: (reads.append(pid), read(pid))[1]
    )

    table.read(())

    assert reads == [MAIN]


def test_name_of_a_process_may_hold_anything():
    line = b"42 (a ) S 9 (b) R 7 42 40 0 -1 4194304 1 2 3 4 500 250 30 20 20 0 1 0 98765 1 2 3"

    process = parse_stat(42, line)

    assert (process.parent, process.session, process.started) == (7, 40, 98765)
    assert (process.used, process.waited, process.total) == (7.5, 0.5, 8.0)
