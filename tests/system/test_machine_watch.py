"""Watch of the machine: batteries as Linux describes them, and room on a disk."""

import shutil
import sys

import pytest

from robojam.system.machine_watch import Battery, free_bytes, read_battery

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="read on Linux alone")


def supply(folder, name, **files):
    (folder / name).mkdir()
    for file, text in files.items():
        (folder / name / file).write_text(text + "\n")


@linux
def test_battery_is_read(tmp_path):
    supply(tmp_path, "AC", type="Mains", online="0")
    supply(tmp_path, "BAT0", type="Battery", capacity="43", status="Discharging")
    assert read_battery(tmp_path) == Battery(43.0, True)


@linux
def test_battery_of_a_mouse_is_not_that_of_the_machine(tmp_path):
    mouse = {"type": "Battery", "capacity": "2", "status": "Discharging", "scope": "Device"}
    supply(tmp_path, "hid", **mouse)
    assert read_battery(tmp_path) is None


@linux
def test_two_batteries_of_which_one_runs_down_are_one(tmp_path):
    supply(tmp_path, "BAT0", type="Battery", capacity="100", status="Not charging")
    supply(tmp_path, "BAT1", type="Battery", capacity="20", status="Discharging")
    assert read_battery(tmp_path) == Battery(60.0, True)


@linux
@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown"])
def test_battery_that_does_not_run_down_is_not_discharging(tmp_path, status):
    supply(tmp_path, "BAT0", type="Battery", capacity="5", status=status)
    assert read_battery(tmp_path) == Battery(5.0, False)


@linux
def test_battery_that_says_nothing_is_not_known(tmp_path):
    supply(tmp_path, "BAT0", type="Battery", status="Discharging")
    supply(tmp_path, "BAT1", type="Battery", capacity="?", status="Discharging")
    assert read_battery(tmp_path) is None
    assert read_battery(tmp_path / "none") is None


def test_room_for_a_folder_that_does_not_exist_yet_is_that_of_its_parent(tmp_path):
    free = free_bytes(tmp_path / "not" / "yet")
    assert free is not None
    assert 0 < free <= shutil.disk_usage(tmp_path).total
