"""The virtual clock of the server."""

from datetime import datetime

import requests

from .server import ACCOUNT_SID, AUTH_TOKEN


class Clock:
    def __init__(self, base_url: str):
        self.url = base_url + "/pointsman/v1/Clock"
        self.session = requests.Session()
        self.session.auth = (ACCOUNT_SID, AUTH_TOKEN)

    def read(self) -> dict:
        answer = self.session.get(self.url, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def now(self) -> datetime:
        return datetime.fromisoformat(self.read()["now"])

    def advance(self, seconds: float) -> dict:
        """Moves time forward and returns when nothing is left to do."""
        answer = self.session.post(self.url, data={"Advance": str(seconds)}, timeout=330)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def quiet(self) -> dict:
        """Waits until every callback so far was delivered and its answer carried out."""
        return self.advance(0)
