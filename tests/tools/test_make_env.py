"""The parts of tools/make_env.py that need no network."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
TOOLS = str(REPO / 'tools')

sys.path.insert(0, TOOLS)
try:
    import env_plan
    import env_runner
    import make_env
finally:
    sys.path.remove(TOOLS)


@pytest.fixture
def checkout(tmp_path):
    """The files that an environment depends on, in a checkout of their own."""
    for name in env_plan.SOURCES:
        path = tmp_path / 'checkout' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((REPO / name).read_bytes())
    return tmp_path / 'checkout'


@pytest.fixture
def env(checkout):
    """A finished environment, as far as its files go."""
    folder = checkout / '.venv'
    (folder / 'bin').mkdir(parents=True)
    (folder / 'bin' / 'python').write_text('')
    (folder / 'pyvenv.cfg').write_text('home = /usr/bin\nversion = 3.11.7\n')
    (folder / env_plan.STAMP).write_text(
        env_plan.fingerprint(checkout, 'mm', '3.11.7') + '\n')
    return folder


def test_everything_that_is_installed_is_pinned():
    pins = env_plan.read_pins((REPO / 'constraints.txt').read_text())
    wanted = set(env_plan.NEEDS)
    wanted |= {re.split('[<>=]', name)[0]
               for name in env_plan.read_requirements(REPO / 'setup.cfg')}
    for stack in env_plan.STACKS.values():
        wanted |= {stack.mmcv, *stack.bare, *stack.needs}
    assert wanted - set(pins) == set()
    assert pins['torch'] == '2.13.0'
    assert int(pins['setuptools'].split('.')[0]) < 81


def test_packages_with_impossible_dependencies_come_without_them():
    assert 'cityscapesscripts' in env_plan.BARE
    assert not set(env_plan.BARE) & set(env_plan.read_requirements(REPO / 'setup.cfg'))
    for stack in env_plan.STACKS.values():
        assert set(env_plan.BARE) <= set(stack.bare)


def test_pins_leave_comments_alone():
    text = '# a==1\nb==2.0  # c==3\n\nd-e.f_g==1.0rc1\n  h==9\n'
    assert env_plan.read_pins(text) == {'b': '2.0', 'd-e.f_g': '1.0rc1'}


def test_requirements_are_those_of_setup_cfg():
    found = env_plan.read_requirements(REPO / 'setup.cfg')
    assert {'numba', 'numpy', 'pytest', 'hypothesis', 'ruff'} <= set(found)
    assert not [name for name in found if 'mm' in name or name.startswith('#')]


def test_finished_environment_is_recognised(checkout, env):
    assert env_plan.is_ready(checkout, env, 'mm')
    assert not env_plan.is_ready(checkout, env, 'onedl')


@pytest.mark.parametrize('name', env_plan.SOURCES)
def test_a_change_of_any_source_makes_it_stale(checkout, env, name):
    path = checkout / name
    path.write_text(path.read_text() + '\n')
    assert not env_plan.is_ready(checkout, env, 'mm')


def test_other_python_makes_it_stale(checkout, env):
    (env / 'pyvenv.cfg').write_text('version = 3.11.8\n')
    assert not env_plan.is_ready(checkout, env, 'mm')


def test_moved_checkout_makes_it_stale(checkout, env):
    """The package is installed in place: the environment knows the place."""
    other = checkout.with_name('other')
    checkout.rename(other)
    assert not env_plan.is_ready(other, other / '.venv', 'mm')


@pytest.mark.parametrize('gone', ['bin/python', 'pyvenv.cfg', env_plan.STAMP])
def test_damaged_environment_is_not_ready(checkout, env, gone):
    (env / gone).unlink()
    assert not env_plan.is_ready(checkout, env, 'mm')


def test_dead_interpreter_is_not_ready(checkout, env):
    (env / 'bin' / 'python').unlink()
    (env / 'bin' / 'python').symlink_to('/no/such/python')
    assert not env_plan.is_ready(checkout, env, 'mm')


WHEELS = {
    'mmcv-2.1.0-cp311-cp311-linux_x86_64.whl': True,
    'mmcv-2.1.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl': True,
    'mmcv-2.1.0-1-cp311-cp311-linux_x86_64.whl': True,
    'mmcv-2.1.0-cp310-cp310-linux_x86_64.whl': False,
    'mmcv-2.1.0-cp311-cp311-linux_aarch64.whl': False,
    'mmcv-2.1.0-cp311-cp311-win_amd64.whl': False,
    'mmcv-2.2.0-cp311-cp311-linux_x86_64.whl': False,
    'onedl_mmcv-2.1.0-cp311-cp311-linux_x86_64.whl': False,
    'mmcv-2.1.0.whl': False,
    'mmcv-2.1.0.tar.gz': False,
}


@pytest.mark.parametrize('name', WHEELS)
def test_wheel_that_fits(tmp_path, name):
    (tmp_path / name).write_bytes(b'')
    found = env_plan.find_wheel(
        str(tmp_path), 'mmcv', '2.1.0', (3, 11), 'linux_x86_64')
    assert found == (tmp_path / name if WHEELS[name] else None)


def test_wheel_of_the_fork_has_another_spelling(tmp_path):
    name = 'onedl_mmcv-2.3.6-cp311-cp311-linux_x86_64.whl'
    (tmp_path / name).write_bytes(b'')
    assert env_plan.find_wheel(str(tmp_path), 'onedl-mmcv', '2.3.6', (3, 11),
                               'linux_x86_64').name == name


@pytest.mark.parametrize('folder', [None, '', '/no/such/folder'])
def test_no_folder_of_wheels(folder):
    assert env_plan.find_wheel(folder, 'mmcv', '2.1.0', (3, 11), 'linux_x86_64') is None


def test_arguments_add_a_place_and_replace_none():
    wheel = Path('/w/mmcv-2.1.0-cp311-cp311-linux_x86_64.whl')
    found = env_plan.mmcv_arguments('mmcv', '2.1.0', wheel)
    assert found[-1] == 'mmcv==2.1.0' and '--no-deps' in found
    assert found[found.index('--find-links') + 1] == '/w'
    assert not {'--no-index', '--index-url', '-i'} & set(found)


def test_arguments_for_compiling():
    found = env_plan.mmcv_arguments('onedl-mmcv', '2.3.6', None)
    assert '--no-build-isolation' in found and '--find-links' not in found
    again = env_plan.mmcv_arguments('onedl-mmcv', '2.3.6', None, again=True)
    assert {'--force-reinstall', '--no-cache-dir'} <= set(again)
    assert again[again.index('--no-binary') + 1] == 'onedl-mmcv'


def test_time_left_of_compiling():
    assert env_runner.compiled('nothing yet, array[3/4]') == (0, 0)
    assert env_runner.compiled('  [1/190] c++ a\n  warning\n  [19/190] c++ b\n') == (
        19, 190)
    assert env_runner.progress(0, 0, 0, 5.) == ''
    assert env_runner.progress(9, 190, 9, 0.) == 'compiled 9 of 190'
    assert env_runner.progress(19, 190, 9, 60.) == (
        'compiled 19 of 190, about 17 min left')


@pytest.mark.parametrize('output, advice', [
    ('fatal error: Python.h: No such file or directory', 'python3.11-dev'),
    ("error: command 'x86_64-linux-gnu-g++' failed: No such file or directory", 'g++'),
    ('/bin/sh: 1: g++: not found', 'WHEELS'),
    ('The virtual environment was not created because ensurepip is not available',
     'python3.11-venv'),
    ('OSError: [Errno 28] No space left on device', 'disk space'),
    ('Temporary failure in name resolution', 'network'),
    ('ERROR: No matching distribution found for torch==2.13.0', 'Python 3.11'),
    ('g++: fatal error: Killed signal terminated program cc1plus', 'MAX_JOBS=1'),
    ('something new', 'run the same command again'),
])
def test_advice(output, advice):
    assert advice in env_runner.remedy(output)


@pytest.fixture
def builder(tmp_path):
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin' / 'python').symlink_to(sys.executable)
    return env_runner.Builder(tmp_path, 3)


def test_step_prints_number_time_and_note(builder, capsys):
    builder.step('first', lambda: 'a note')
    builder.step('second', lambda: None)
    assert capsys.readouterr().out.splitlines() == [
        '[1/3] first ... 0 s (a note)', '[2/3] second ... 0 s']


def test_failed_step_shows_the_end_of_its_output_and_what_to_do(builder, tmp_path):
    program = ("print('\\n'.join(f'line {i}' for i in range(50)));"
               "print('No space left on device'); raise SystemExit(3)")
    with pytest.raises(env_runner.StepFailed) as caught:
        builder.python('-c', program)
    text = str(caught.value)
    assert '| line 49' in text and '| line 9\n' not in text
    assert str(tmp_path / env_runner.LOG) in text and 'free some disk space' in text
    assert 'line 9\n' in (tmp_path / env_runner.LOG).read_text()


def test_output_of_each_command_is_its_own(builder):
    assert builder.python('-c', 'print(1)') == (0, '1\n')
    assert builder.python('-c', 'print(2); raise SystemExit(4)', must=False) == (4, '2\n')


def test_commands_do_not_see_packages_of_the_caller(builder, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', '/somewhere')
    _, text = builder.python('-c', 'import os; print(os.environ.get("PYTHONPATH"))')
    assert text == 'None\n'


def test_kill_ends_what_was_started(tmp_path):
    """pip's compilers must not go on alone when the script is ended."""
    program = f"""
import signal, sys
sys.path.insert(0, {TOOLS!r})
from pathlib import Path
import env_runner
signal.signal(signal.SIGTERM, signal.default_int_handler)
builder = env_runner.Builder(Path({str(tmp_path)!r}), 1)
child = "import subprocess, sys; subprocess.run([sys.executable, '-c', " \\
        "'import os, time; print(os.getpid(), flush=True); time.sleep(60)'])"
builder.run([sys.executable, '-c', child])
"""
    process = subprocess.Popen([sys.executable, '-c', program],
                               stderr=subprocess.DEVNULL)
    log = tmp_path / env_runner.LOG
    deadline = time.time() + 60
    found = None
    while found is None and time.time() < deadline:
        time.sleep(0.1)
        text = log.read_text() if log.exists() else ''
        found = re.search(r'^(\d+)$', text, re.M)
    assert found, 'the grandchild never started'
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    while time.time() < deadline and is_running(int(found.group(1))):
        time.sleep(0.1)
    assert not is_running(int(found.group(1)))


def is_running(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != 'Z'


def test_finished_environment_ends_at_once(checkout, env, monkeypatch, capsys):
    monkeypatch.setattr(make_env, 'ROOT', checkout)
    monkeypatch.setattr(make_env, 'build', lambda *_: pytest.fail('built again'))
    assert make_env.main([]) == 0
    assert 'is ready (stack mm)' in capsys.readouterr().out


def test_stamp_is_written_after_the_last_step_alone(checkout, env, monkeypatch, capsys):
    monkeypatch.setattr(make_env, 'ROOT', checkout)
    monkeypatch.setattr(make_env, 'find_python', lambda: sys.executable)
    stamp = env / env_plan.STAMP

    def failing(*_):
        assert not stamp.exists()
        raise env_runner.StepFailed('the network is gone')

    monkeypatch.setattr(make_env, 'build', failing)
    assert make_env.main(['--force']) == 1
    assert 'the network is gone' in capsys.readouterr().err
    assert not stamp.exists()

    monkeypatch.setattr(make_env, 'build', lambda *_: None)
    assert make_env.main([]) == 0
    assert env_plan.is_ready(checkout, env, 'mm')
    assert not list(env.glob('*.part'))


def test_ctrl_c_while_another_builds_is_told(checkout, env, monkeypatch, capsys):
    def waiting(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(make_env, 'ROOT', checkout)
    monkeypatch.setattr(make_env, 'lock', waiting)
    before = signal.getsignal(signal.SIGTERM)
    try:
        code = make_env.main(['--force'])
    except KeyboardInterrupt:
        pytest.fail('Ctrl-C went through')
    assert code == 130 and signal.getsignal(signal.SIGTERM) is before
    assert 'goes on from here' in capsys.readouterr().err


def test_environment_of_another_python_is_left_alone(checkout, env, monkeypatch, capsys):
    """A user's own .venv is never emptied."""
    monkeypatch.setattr(make_env, 'ROOT', checkout)
    mine = env / 'mine.txt'
    mine.write_text('precious')
    wanted = '%d.%d' % sys.version_info[:2]

    class Fake(make_env.Builder):
        def run(self, command, **options):
            text = '3 8 1\n' if 'version_info[:3]' in command[-1] else ''
            return 0, text

    monkeypatch.setattr(make_env, 'Builder', Fake)
    assert make_env.main(['--force', '--python', sys.executable]) == 1
    text = capsys.readouterr().err
    assert 'holds Python 3.8' in text and wanted in text and '--env' in text
    assert mine.read_text() == 'precious'


def test_interpreter_of_this_version_is_preferred(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(make_env, 'PYTHON', sys.version_info[:2])
    assert make_env.find_python() == sys.executable
    # A shim that starts nothing is passed over, with a note.
    monkeypatch.setattr(make_env, 'PYTHON', (3, 99))
    shim = tmp_path / 'python3.99'
    shim.write_text('#!/bin/sh\nexit 127\n')
    shim.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path))
    assert make_env.find_python() == sys.executable
    assert 'python3.99 is not on PATH' in capsys.readouterr().out
    shim.write_text('#!/bin/sh\nexit 0\n')
    assert make_env.find_python() == str(shim)


def test_second_process_waits_for_the_first(tmp_path):
    import fcntl
    held = make_env.lock(tmp_path)
    other = open(tmp_path / 'make_env.lock')
    with pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    held.close()
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert isinstance(held, io.TextIOBase)
    other.close()


@pytest.mark.parametrize('arguments, code, text', [
    ((), 0, 'make test'), (('help', 'STACK=onedl'), 0, '.venv-onedl'),
    (('STACK=other', ), 2, "STACK is 'other'"),
    (('-n', 'test'), 0, 'tools/make_env.py --stack mm'),
    (('-n', 'test', 'STACK=onedl'), 0, '--dist=loadfile tests/stack'),
    (('-n', 'demo', 'ARGS=--fast'), 0, 'tools/demo.py --fast')])
def test_makefile(arguments, code, text):
    done = subprocess.run(['make', *arguments], cwd=REPO, capture_output=True,
                          text=True, env={k: v for k, v in os.environ.items()
                                          if k not in ('STACK', 'MAKEFLAGS')})
    assert done.returncode == code
    assert text in done.stdout + done.stderr
