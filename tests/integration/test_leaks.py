# SPDX-License-Identifier: Apache-2.0
"""What the check after each test (lib/leaks.py) takes for left behind."""

import pytest

from lib import hostmount, leaks

pytestmark = pytest.mark.classes("ns")


@pytest.fixture
def mounted(tmp_path):
    """A directory with a mount two below it."""
    place = tmp_path / "first/place"
    place.mkdir(parents=True)
    hostmount.mount("none", place, "tmpfs")
    yield tmp_path
    hostmount.unmount(next(tmp_path.iterdir()) / "place")


def test_a_mount_whose_path_was_renamed_is_an_old_one(mounted):
    guard = leaks.Guard()
    (mounted / "first").rename(mounted / "second")
    assert f" {mounted}/second/place " in "".join(leaks.mounts().values())
    assert guard.new_mounts() == []


def test_a_mount_over_another_or_with_other_options_is_a_new_one(mounted):
    guard = leaks.Guard()
    other = hostmount.MS_REMOUNT | hostmount.MS_BIND | hostmount.MS_NODEV
    hostmount.mount("none", mounted / "first/place", None, other)
    assert len(guard.new_mounts()) == 1
    hostmount.mount("none", mounted / "first/place", "tmpfs")
    assert len(guard.new_mounts()) == 2
