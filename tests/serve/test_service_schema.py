"""What the description promises is what the service does: cases made up by schemathesis."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from service_fakes import Asker, Length

from headstart.serve import Limits

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SMALL = Limits(items=5, characters=200, columns=20)
ASKER = Asker(Length(), allowed_hosts=("testserver",), limits=SMALL)
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", ASKER.app)


@SCHEMA.parametrize()
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_description_is_true(case):
    response = case.call()
    left_out = [negative_data_rejection, positive_data_acceptance]  # no schema tells of files
    if response.status_code == 501:
        left_out.append(not_a_server_error)
    case.validate_response(response, excluded_checks=left_out)
