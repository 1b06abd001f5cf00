"""What a process serves: every namespace falls to exactly one shard, for ever, and no two scopes share a Lease."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from modelport.app.main import run
from modelport.app.scope import Scope, Shard, share
from modelport.app.settings import SettingsError, load

NAMESPACES = st.from_regex("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)


@given(NAMESPACES, st.integers(1, 64))
def test_a_namespace_falls_to_exactly_one_shard(namespace: str, of: int) -> None:
    assert sum(Scope((), Shard(number, of)).covers(namespace) for number in range(of)) == 1


def test_shards_are_of_like_size() -> None:
    shares = [share(f"team-{number}", 4) for number in range(4000)]
    assert all(900 < shares.count(number) < 1100 for number in range(4))


def test_the_hash_never_changes() -> None:
    """Shards of two versions run side by side in an upgrade."""
    assert [share(name, 7) for name in ("default", "models", "team-a", "team-b")] == [1, 6, 6, 0]


def test_named_namespaces_and_no_others() -> None:
    scope = Scope(("a", "b"))
    assert [scope.covers(name) for name in ("a", "b", "c")] == [True, True, False]
    assert scope.watched == ("a", "b")
    assert Scope().watched == (None,)


def test_each_scope_has_a_lease_of_its_own() -> None:
    scopes = [Scope(), Scope(("a",)), Scope(("a", "b")), *(Scope((), Shard(i, n)) for n in (2, 3) for i in range(n))]
    scopes += [Scope(("a", "b"), Shard(0, 2))]
    assert len({scope.lease_name("") for scope in scopes}) == len(scopes)
    assert Scope().lease_name("") == "modelport"
    assert Scope((), Shard(0, 3)).lease_name("") == "modelport-shard-0-of-3"
    assert Scope(("b", "a")).lease_name("") == Scope(("a", "b")).lease_name("")


def test_a_given_name_stands_for_the_namespaces_and_never_for_the_shard() -> None:
    assert Scope(("a",)).lease_name("mine") == "mine"
    assert Scope(("a",), Shard(1, 2)).lease_name("mine") == "mine-shard-1-of-2"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--shard", "3/3"], "shards are counted from 0, so the last one of 3 is 2/3"),
        (["--shard", "0/0"], "there is no shard of none; write 0/1 or leave it out"),
        (["--shard", "first"], "'first' is no shard: write i/n, such as 0/3 for the first of three"),
        (["--shard", "-1/3"], "'-1/3' is no shard: write i/n"),
        (["--shard", ""], "'' is no shard: write i/n"),
        (["--namespaces", "a,,b"], "'' is no namespace: write names with commas between them, such as models,team-a"),
        (["--namespaces", "Team_A"], "'Team_A' is no namespace"),
    ],
)
def test_nonsense_is_refused_with_what_to_write(arguments: list[str], says: str) -> None:
    done = CliRunner().invoke(run, arguments)
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())


def test_namespaces_of_the_settings_file_are_checked_too(tmp_path: Path) -> None:
    file = tmp_path / "operator.yaml"
    file.write_text("namespaces: [models, team-a, models]")
    assert load(file, {}).namespaces == ("models", "team-a")
    file.write_text("namespaces: [models, Team_A]")
    with pytest.raises(SettingsError, match="namespaces: Value error, 'Team_A' is no namespace"):
        load(file, {})
