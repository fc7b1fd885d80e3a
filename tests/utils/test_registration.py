"""What is kept when a part cannot be imported, and what is raised."""

import sys
from pathlib import Path

import pytest

from segaware_mm import registration


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a function that makes a module of the given text a part."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registration, '_failures', {})
    monkeypatch.setattr(registration, '_registered', set())
    count = []

    def make(text, **others):
        count.append(0)
        name = f'part_{tmp_path.name}_{len(count)}'.replace('-', '_')
        (tmp_path / f'{name}.py').write_text(text)
        for other, content in others.items():
            (tmp_path / f'{other}.py').write_text(content)
        monkeypatch.setattr(registration, 'PARTS', (name, ))
        return name

    yield make
    for name in [n for n in sys.modules if n.startswith(f'part_{tmp_path.name}')]:
        del sys.modules[name]


def test_missing_package_is_kept(package):
    name = package('import a_package_that_is_not_there\n')
    registration.register_all()
    assert 'a_package_that_is_not_there' in registration.import_failures()[name]


def test_version_check_of_a_toolbox_is_kept(package):
    name = package('assert False, "MMCV==2.2.0 is used but incompatible"\n')
    registration.register_all()
    assert registration.import_failures()[name] == (
        'AssertionError: MMCV==2.2.0 is used but incompatible')


def test_broken_package_of_others_is_kept(package):
    name = package('import numpy\nnumpy.no_such_thing\n')
    registration.register_all()
    assert 'no_such_thing' in registration.import_failures()[name]


def test_misspelled_module_of_ours_is_raised(package):
    package('from segaware_mm.ops import no_such_operator\n')
    with pytest.raises(ImportError, match='no_such_operator'):
        registration.register_all()


def test_error_in_our_code_is_raised(package):
    package('__name__ = "segaware_mm.broken"\nraise RuntimeError("a defect")\n')
    with pytest.raises(RuntimeError, match='a defect'):
        registration.register_all()


def test_part_that_works_later_is_no_failure(package):
    name = package('import helper_that_comes_later\n')
    registration.register_all()
    assert name in registration.import_failures()
    package('', helper_that_comes_later='')
    registration.PARTS = (name, )
    try:
        import importlib
        importlib.invalidate_caches()
        registration.register_all()
        assert registration.import_failures() == {}
    finally:
        sys.modules.pop('helper_that_comes_later', None)


def test_shipped_parts_exist():
    import importlib.util
    assert registration.PARTS
    assert len(set(registration.PARTS)) == len(registration.PARTS)
    for name in registration.PARTS:
        parent = importlib.util.find_spec(name.rpartition('.')[0])
        places = [Path(place) for place in parent.submodule_search_locations]
        stem = name.rpartition('.')[2]
        assert any((place / stem).is_dir() or (place / f'{stem}.py').is_file()
                   for place in places), name
