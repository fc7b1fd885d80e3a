"""A small trained model for every target, made once in a session."""

import pytest


@pytest.fixture(scope='session')
def trained_case(tmp_path_factory):
    """``trained_case('voc-comp6')`` returns model and data."""
    from submission_cases import make_case
    cases = {}

    def case(target):
        if target not in cases:
            cases[target] = make_case(target, tmp_path_factory.mktemp('case'))
        return cases[target]

    return case
