"""Counting failed logins, with a clock that the test moves."""

from management.server import throttle
from management.server.throttle import Throttle
from tests.unit.management.conftest import Clock


def guess(guard: Throttle, times: int, account: str = "admin", address: str = "10.0.0.9") -> None:
    for _ in range(times):
        guard.failed(account, address)


def test_five_mistakes_are_free_and_then_one_every_half_minute() -> None:
    clock = Clock()
    guard = Throttle(clock.monotonic)
    guess(guard, 4)
    assert guard.wait("admin", "10.0.0.9") == 0
    guess(guard, 1)
    assert guard.wait("admin", "10.0.0.9") == 30
    clock.now += 30
    assert guard.wait("admin", "10.0.0.9") == 0
    guess(guard, 1)
    assert guard.wait("admin", "10.0.0.9") == 30


def test_nobody_else_is_kept_out() -> None:
    guard = Throttle(Clock().monotonic)
    guess(guard, 10)
    assert guard.wait("other", "10.0.0.9") == 0
    assert guard.wait("admin", "10.0.0.8") == 0


def test_the_right_password_clears_the_count() -> None:
    guard = Throttle(Clock().monotonic)
    guess(guard, 4)
    guard.succeeded("admin", "10.0.0.9")
    guess(guard, 4)
    assert guard.wait("admin", "10.0.0.9") == 0


def test_many_accounts_from_one_address() -> None:
    guard = Throttle(Clock().monotonic)
    for number in range(throttle.ADDRESS.failures):
        guess(guard, 1, account=f"a{number}")
    assert guard.wait("fresh", "10.0.0.9") > 0
    assert guard.wait("fresh", "10.0.0.8") == 0


def test_one_account_from_many_addresses() -> None:
    guard = Throttle(Clock().monotonic)
    for number in range(throttle.ACCOUNT.failures):
        guess(guard, 1, address=f"10.0.1.{number}")
    assert guard.wait("admin", "10.0.0.9") > 0


def test_everybody_on_this_host_has_the_same_address() -> None:
    guard = Throttle(Clock().monotonic)
    for number in range(throttle.ADDRESS.failures * 2):
        guess(guard, 1, account=f"a{number}", address="127.0.0.1")
    assert guard.wait("fresh", "127.0.0.1") == 0


def test_memory_is_bounded() -> None:
    guard = Throttle(Clock().monotonic)
    for number in range(throttle.KEPT):
        guess(guard, 1, account=f"a{number}", address="::1")
    assert len(guard._full_until) == throttle.KEPT
