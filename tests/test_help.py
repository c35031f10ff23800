"""`sgrs` and its commands say how they are used."""

import pytest

from sgrs_core.command_line import main

COMMANDS = ("predict", "evaluate", "check", "status", "compare")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_how_it_is_used(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"usage: sgrs {command} [-h]")
    assert not err


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_lacks_is_named(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command])
    assert end.value.code == 2
    assert "error: the following arguments are required: " in capsys.readouterr().err


def test_the_commands_are_listed(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    listed = [line.split()[0] for line in out.splitlines() if line.startswith("    ")]
    assert [one for one in COMMANDS if one in listed] == [*COMMANDS]
