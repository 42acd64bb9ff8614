"""The jobs in Python."""

import subprocess
import sys


def said(program: str) -> list[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()


def test_a_job_is_imported_by_its_name_and_can_be_called() -> None:
    assert said("from jobs import Transcribe, transcribe; print(callable(transcribe))") == ["True"]


def test_every_command_is_an_import_away() -> None:
    """Also those whose modules might be called like them."""
    commands = (
        "align describe doctor embed export filter_rows incremental label report retry score transcribe units verify"
    )
    options = (
        "Align Describe Doctor Embed Export Filter Incremental Label Reporting Retry Score Transcribe Units Verify"
    )
    program = f"from jobs import {', '.join(f'{commands} {options}'.split())}; "
    calls = f"print(*(callable(each) for each in ({', '.join(commands.split())})))"
    assert set(said(program + calls)) == {"True"}
    twice = "from jobs import verify, describe; import jobs.cli_looking; from jobs import verify as again"
    assert said(f"{twice}; print(again is verify, callable(again))") == ["True", "True"]


def test_help_imports_neither_torch_nor_the_engine() -> None:
    assert said("import sys, jobs.cli; print('torch' in sys.modules, 'ray' in sys.modules)") == ["False", "False"]


def test_what_works_on_a_table_needs_neither_torch_nor_the_engine() -> None:
    program = "import sys; from jobs import export, filter_rows, score; import jobs.saying, jobs.verifying"
    assert said(f"{program}; print('torch' in sys.modules, 'ray' in sys.modules)") == ["False", "False"]
