"""Expecting refusals exactly as the official library raises them."""

import json
import re
from contextlib import contextmanager

from twilio.base.exceptions import TwilioException, TwilioRestException


@contextmanager
def refused(status: int, code: int, message: str | None = None, *, matching: str | None = None):
    """Expects the block to be refused with this HTTP status and code.

    - `message`: the whole text that the server sent, exactly.
    - `matching`: a regular expression found in it.
    """
    try:
        yield
    except TwilioRestException as error:
        found = (error.status, error.code, error.msg.split(": ", 1)[1] if ": " in error.msg else error.msg)
    except TwilioException as error:
        # A list that is refused comes as this plainer exception, with the answer as its second argument.
        response = error.args[1]
        body = json.loads(response.text)
        found = (response.status_code, body["code"], body["message"])
    else:
        raise AssertionError(f"expected a refusal with status {status}, code {code}; it was accepted")
    assert found[:2] == (status, code), found
    if message is not None:
        assert found[2] == message
    if matching is not None:
        assert re.search(matching, found[2]), found[2]


def assert_delete(client, url: str, if_match: str, status: int, message: str | None = None) -> None:
    """Deletes conditionally with the library's own request function.

    The resource classes of twilio 9.13 accept `if_match=` on deletion and then do not send it.
    """
    response = client.request("DELETE", url, headers={"If-Match": if_match})
    assert response.status_code == status, response.text
    if message is not None:
        assert json.loads(response.text)["message"] == message
