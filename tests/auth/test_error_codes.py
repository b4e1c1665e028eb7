"""The catalogue of Microsoft's sign-in errors."""

import pytest

from custom_components.outlook_smtp.auth.auth_error import read_auth_error, read_error
from custom_components.outlook_smtp.auth.error_codes import CATALOGUE
from custom_components.outlook_smtp.delivery.faults import Kind, Problem


@pytest.mark.parametrize(("code", "problem"), [(code, it[0]) for code, it in CATALOGUE.items()])
def test_code_decides(code: int, problem: Problem) -> None:
    """Microsoft's number says more than the protocol's error."""
    answer = {"error": "invalid_request", "error_description": f"AADSTS{code}: Words."}
    error = read_error(answer)
    assert error.problem is problem
    fault = read_auth_error(error)
    assert error.needs_sign_in <= (fault.kind is Kind.CREDENTIALS)
    assert f"AADSTS{code}" in fault.reply


@pytest.mark.parametrize(
    ("words", "status", "problem"),
    [
        ("AADSTS999999: New.", 400, Problem.APPLICATION_REFUSED),
        ("AADSTS999999: New. AADSTS7000215: Known.", 400, Problem.SECRET_WRONG),
        ("The client is not enabled for consumers.", 400, Problem.ACCOUNT_TYPE_REFUSED),
        ("AADSTS7000215: Busy.", 503, Problem.IDENTITY_UNREACHABLE),
    ],
)
def test_unknown_numbers_fall_back(words: str, status: int, problem: Problem) -> None:
    """Without a known number, the protocol's error decides; a failing server is unreachable."""
    answer = {"error": "invalid_client", "error_description": words}
    assert read_error(answer, status).problem is problem
